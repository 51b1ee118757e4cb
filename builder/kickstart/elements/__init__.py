# SPDX-License-Identifier: MIT
"""Elements of diskimage-builder, for an image that we build: read, judged, and put into the plan.

Pure but for reading their files. An element that asks for what a kickstart decides (the distribution, the
disk), or for what no build of ours has, is refused with its name, its file, and a hint.

Source: diskimage-builder 3.43's documentation (developer/developing_elements, user_guide) and the READMEs of
its elements package-installs, pkg-map, svc-map, install-types and dib-run-parts.
"""
