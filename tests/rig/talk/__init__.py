# SPDX-License-Identifier: MIT
"""The talk of 2012 on today's services: from RPMs of ours to ssh into a guest of ours (`make talk`)."""
