#!/bin/sh
# SPDX-License-Identifier: MIT
echo "$DIB_INIT_SYSTEM"
