# SPDX-License-Identifier: MIT
# Names for completion, out of services.json: the projects with a part called `key` (user: all of them), with
# their former names; with key=drivers the releases. The layout of the file is that of
# builder/catalogue/hostdata.py: one key on a line, indented by one blank for each level.
#
#     awk -v key=databases -f projects.awk services.json

BEGIN { FS = "\"" }
/^  "/ { name = $2 }
/^   "aliases": \[$/, /^   \]/ { if (/^    "/) name = name " " $2 }
$2 == key && /[{[]$/ && !seen[name]++ { print name }
