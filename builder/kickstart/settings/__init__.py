# SPDX-License-Identifier: MIT
"""What commands set in the image: for each subject what the plan holds, and how it is read.

A row of `builder.kickstart.commands` names the class (`sets`). The module of the same name in
`builder.image.tree.settings` acts on it.
"""
