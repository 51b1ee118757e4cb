# SPDX-License-Identifier: MIT
"""Files and command lines for comparing `--dialect crudini` with crudini itself.

A command line names the file `f`; `CASES` maps an id to (text of f, stdin, command lines).
"""

PLAIN = "[s]\na = 1\nB=two words\nml = one\n  two\n\n# about t\n[t]\nx: 3\nflag\n"
GLOBAL = "g=0\n[DEFAULT]\nd = 1\n\n# cmt\n[s]\na = 1\n"
LISTS = "[s]\na = 1\nl = x, y,z\nc = a,b,a\nm =\n  p\n  q\nsp = a b\n\n[t]\nx=3\n"
COMMENTS = "[s]\na=1 ; c\nb = 2 # d\nc=3;e\nd = ;f\ne = # g\nf = x        ;z\ng = 1 ; c ; d\n"
REPEATED = "[s]\na = 1\nFoo = 1\n[t]\n[s]\nb = 3\na = 3\na = 4\n"
INHERITED = "[DEFAULT]\nd=1\n[s]\na=1\nd=1\n[t]\nd=2\n"
SPACES = "g = 1\n[s]\na : 1\nb= 1\nc =1\nd  =  1 ;x\ne = 1\n  2\nf=\ng =\n"
BLANKS = "\n\n# x\n[s]\n\n\na=1\n# c\n[t]\n[u]\n\n\n# d\n\n\n[v]\nb=1\n\n\n"
INDENTED = "  [s]\n  a = 1\n   # c\n  b = 2\n\n  [t]\n c=1\n"
SHELL = "[s]\na = it's\nb = $x\nc = a\"b\ne = ~/x\nf = a,b\ng = \u00e9\nh = a@b%c+d=e:f/g-h.i_j\n"


def commands(*lines):
    return [line.split() if isinstance(line, str) else list(line) for line in lines]


CASES = {
    "get": (PLAIN, None, commands(
        "--get f", "--get f s", "--get f s a", "--get f s b", "--get f s ml", "--get f t flag",
        "--get f t x", "--get f t nope", "--get f nope", "--get f nope x", "--get f s a --get f t x",
        "--get f s a --get f s", "--get f s a --get f s nope", ["--get", "f", ""],
        ["--get", "f", "", "a"], "--get f DEFAULT", "--get f DEFAULT x", "--get missing s",
        "--get --format=sh f", "--get --format=sh f s", "--get --format=sh f s ml",
        "--get --format=ini f", "--get --format=ini f s", "--get --format=ini f s ml",
        "--get --format=lines f", "--get --format=lines f s", "--get --format=lines f t",
        "--get --format=lines f t flag", "--get --format lines f s ml", "--get --format=bad f",
    )),
    "get global": (GLOBAL, None, commands(
        "--get f", ["--get", "f", ""], "--get f DEFAULT", ["--get", "f", "", "g"],
        "--get f DEFAULT d", "--get --format=lines f", "--get --format=sh f", "--get --format=ini f",
        "--get --format=ini f DEFAULT", "--get --format=lines f DEFAULT g",
    )),
    "get inherited": (INHERITED, None, commands(
        "--get f s", "--get f s d", "--get f t", "--get f t d", "--get --format=lines f",
        "--get --format=lines f s",
    )),
    "get comments": (COMMENTS, None, commands(
        "--get --format=lines f s", "--get f s a", "--get f s d", "--get f s g",
    )),
    "get shell": (SHELL, None, commands("--get --format=sh f s", "--get --format=lines f s")),
    "get shell names": ("[s-x]\na-b = 1\nok=1\n", None, commands(
        "--get --format=sh f", "--get --format=sh f s-x", "--get --format=sh f s-x ok",
    )),
    "get repeated": (REPEATED, None, commands(
        "--get f", "--get f s", "--get f s a", "--get f s FOO", "--get --format=lines f",
    )),
    "get empty": ("[s]\n\n[t]\nfl\nem=\n", None, commands(
        "--get f s", "--get f t", "--get f t em", "--get --format=lines f", "--get --format=sh f",
        "--get --format=ini f t",
    )),
    "get nothing": ("", None, commands("--get f", "--get --format=lines f", "--get f s")),
    "get continued": ("[s]\na = 1\n# c\n  two\n\n\n  three\nb = 1 ;c\n  two ;d\n", None, commands(
        "--get f s a", "--get f s b", "--get --format=lines f",
    )),
    "get indented": (INDENTED, None, commands(
        "--get f", "--get --ini-options=ignoreindent --format=lines f",
    )),
    "get odd lines": (
        "[s]\nrem foo = 1\nremote = 2\n%a = 1\n%include x\na=b=c\nd:e=f\ng=h:i\na b c\n", None,
        commands("--get --format=lines f"),
    ),
    "get bom": ("\ufeff[s]\na=1\n", None, commands("--get f s a", "--set f s a 2")),
    "get crlf": ("[s]\r\na=1\r\n", None, commands(
        "--get f s a", "--set f s a 2 --set f s b 3 --set f t c 4", "--del f s a",
    )),
    "set": (PLAIN, None, commands(
        "--set f s a 2", "--set f s B 2", "--set f s b 2", "--set f s new 2", "--set f n new 2",
        "--set f n", "--set f s", "--set f s a", "--set f s newflag", ["--set", "f", "s", "a", ""],
        "--set f t x 5", "--set f t flag 5", "--set f t flag", "--set f s ml 5",
        ["--set", "f", "s", "ml", "5\n6\n7"], ["--set", "f", "s", "ml", "5\n\n7"],
        ["--set", "f", "s", "a", "x\ny"], ["--set", "f", "s", "n", "x\n[y]\n#z\nk=v"],
        ["--set", "f", "s", "a", "x ;y"], ["--set", "f", "s", "a", '"x"'], "--set f s a -1",
        "--set f s a -- --foo", "--set f s a 5 --set f t x 6", "--set f s a 5 --del f t x --verbose",
        "--set --verbose f s a 1", "--set --verbose f s a 2", "--set --verb f s a 9",
        ["--set", "--verbose", "f", "s", "a", "it's 2"], "--set f s a 1 --set f s B 2 --verbose",
        "--set --existing f s a 2", "--set --existing f s nope 1", "--set --existing f nope a 1",
        "--set --existing=param f s nope 1", "--set --existing=section f nope a 1",
        "--set --existing=section f s nope 1", "--set --existing=file f nope a 1",
        "--set --existing missing s a 1", "--set missing/f s a 1", "--set f", "--set", "f s a", "",
        "--set f s a --foo", "--get f s a --set f s a 3", "--set f a]b a 1", "--set f s[ a 1",
        "--set f s [a 1", "--set f s a=b 1", "--set f s a[ 1", ["--set", "f", "s", "a b", "1"],
        ["--set", "f", "s u", "a", "1"], "--set --existing=bad f s a 1",
    )),
    "set global": (GLOBAL, None, commands(
        ["--set", "f", "", "g", "5"], ["--set", "f", "", "h", "5"],
        ["--set", "f", "", "a", "1", "--set", "f", "DEFAULT", "b", "2"],
    )),
    "set default": ("# cmt\n[DEFAULT]\nd=1\n[s]\nb=1\n", None, commands(
        "--set f DEFAULT d 2", "--set f DEFAULT e 2", ["--set", "f", "", "e", "2"],
        "--set --existing f DEFAULT a 1",
    )),
    "set new default": ("# cmt\n\n[s]\nd=1\n", None, commands(
        "--set f DEFAULT e 2", ["--set", "f", "", "e", "2"], "--set f DEFAULT",
    )),
    "set only global": ("g=0\n#x\n[s]\n", None, commands(["--set", "f", "", "h", "5"])),
    "set empty": ("", None, commands(
        "--set f s a 2", ["--set", "f", "", "a", "2"], "--set f DEFAULT a 2",
    )),
    "set comment only": ("# c\n", None, commands("--set f s a 2")),
    "set inherited": (INHERITED, None, commands(
        "--set f s d 5", "--set f s new 5", "--set --existing f s d 7",
    )),
    "set comments": (COMMENTS, None, commands(
        "--set f s a 4 --set f s b 5 --set f s c 6 --set f s d 7 --set f s e 8", "--set f s f longer",
        "--set f s g 2", ["--set", "f", "s", "a", ""], ["--set", "f", "s", "a", "1\n2"],
        "--set --verbose f s a 1",
    )),
    "set repeated": (REPEATED, None, commands(
        "--set f s a 5", "--set f s foo 5", "--set f s n 5", "--set f s FOO 9",
    )),
    "set unended": ("[s]\na=1", None, commands("--set f s a 2", "--set f s b 2")),
    "set placement": ("\n\n[s]\n# x\n[t]\n\n#a = 1\n\n[u]\nb=1\n# tail\n\n\n", None, commands(
        "--set f s b 2", "--set f t b 2", "--set f u b 2", "--set f u c 2", "--set f v c 2",
    )),
    "set continued": ("[s]\na = 1\n# c\n  two\n\n   three\nb=\n x\n y\nc=x\n\ty\n", None, commands(
        "--set f s a 5", "--del f s a", "--set f s b 5", ["--set", "f", "s", "b", "1\n2"],
        ["--set", "f", "s", "b", "\n1\n2"], ["--set", "f", "s", "c", "1\n2"],
    )),
    "set without value": ("[s]\na =\nb =   \nc  =  5\nd:5\nfl\n", None, commands(
        "--set f s a 5", "--set f s b 5", ["--set", "f", "s", "c", ""], "--set f s d 6",
        ["--set", "f", "s", "fl", ""], "--set f s c",
    )),
    "set spaces": (SPACES, None, commands(
        "--set --ini-options=space f s z 2", "--set --ini-options=nospace f s z 2",
        "--set --ini-options=bad f s z 2", "--set --ini-options=nospace f s x=y 5",
    )),
    "set blanks": (BLANKS, None, commands(
        "--set --ini-options=sectionspace f s a 2",
        "--set --ini-options=nospace,sectionspace f u a 2",
    )),
    "set indented": (INDENTED, None, commands(
        "--set f s a 5", "--set --ini-options=ignoreindent f s a 5 --set f s n 6 --set f u x 1",
    )),
    "del": (PLAIN, None, commands(
        "--del f s a", "--del f s ml", "--del f s", "--del f t", "--del f s nope", "--del f nope",
        "--del --verbose f s nope", "--del --verbose f nope x", "--del --existing f s nope",
        "--del --existing=section f nope x", "--del missing s a", "--del f", "--del f t flag",
        "--del f s b",
    )),
    "del repeated": (REPEATED, None, commands("--del f s a", "--del f s", "--del f s FOO")),
    "del section": ("# x\n[s]\n#a\nx=1\n#b\ny=2\n\n#d\n[t]\na=1\n", None, commands("--del f s")),
    "del default": ("[DEFAULT]\nd=1\n[s]\nx=1\n", None, commands(
        "--del f DEFAULT", "--del f DEFAULT d", "--del f DEFAULT nope",
    )),
    "del global": ("g=0\n[s]\nx=1\n", None, commands(
        ["--del", "f", ""], ["--del", "f", "", "g"],
    )),
    "list add": (LISTS, None, commands(
        "--set --list f s l w", "--set --list f s l y", "--set --list f s new w",
        "--set --list f s new w,v", "--set --list f s a w", "--set --list f s l w,v",
        "--set --list f s m r", "--set --list f s sp c", "--set --list --list-sep= f s sp c",
        "--set --list --list-sep= f s m c", "--set --list --list-sep=: f s a c",
        ["--set", "--list", "--list-sep=; ", "f", "s", "a", "c"], "--set --list f s c a",
        "--set --list f s c d", "--list --set f s a 2 --set f t x 4", "--set --list-sep=: f s a c",
    )),
    "list del": (LISTS, None, commands(
        "--del --list f s l y", "--del --list f s l x", "--del --list f s l z",
        "--del --list f s l nope", "--del --list f s a 1", "--del --list f s l",
        "--del --list f s c a", "--del --list --list-sep= f s m p", "--del --list --list-sep= f s sp b",
    )),
    "list forms": ("[s]\na = a, b,c\nb = a,\n  b,\n  c\nc = a , b\nd = a,b, c\ne = A,b\nf\n", None,
        commands("--set --list f s a d", "--set --list f s b d", "--del --list f s b b",
                 "--set --list f s c d", "--set --list f s d d", "--set --list f s e a",
                 "--set --list f s f d", "--set --list --list-sep= f s b d")),
    "merge": (PLAIN, "[s]\na=9\nnew=1\n[u]\nq : 1\n", commands(
        "--merge f", "--merge f t", "--merge --existing f", "--merge --existing=section f",
        "--merge --verbose f", "--merge --output=- f", "--merge f s u",
    )),
    "merge unnamed": (PLAIN, "a=9\nnew=1\n", commands("--merge f", "--merge f s", "--merge f new")),
    "merge default": ("[DEFAULT]\na=1\n[s]\nb=1\n", "[DEFAULT]\na=2\nz=1\n", commands(
        "--merge f", "--merge f DEFAULT",
    )),
    "merge nothing": (PLAIN, "", commands("--merge f", "--merge --verbose f")),
    "merge bad": (PLAIN, "[]bad\n", commands("--merge f")),
    "merge param": ("[s]\na=1\n", "[s]\nA=9\nb=1\n", commands("--merge f")),
    "merge comments": ("[s]\na=1\n", "[s]\n# c\na = x ;y\nb = 1\n  2\n", commands("--merge f")),
    "stdin": (PLAIN, "[s]\na=1\n", commands(
        "--get - s a", "--get - s", "--set - s a 2", "--set --verbose - s a 2", "--del - s a",
        "--set --inplace - s a 2",
    )),
    "output": (PLAIN, None, commands(
        "--set --output=- f s a 2", "--set --output=- f s a 1", "--del --output=- f s a",
        "--set --inplace f s a 2", "--set --inplace --verbose f s new 2",
    )),
    "bad header": ("[s]x\na=1\n", None, commands("--get f s a", "--set f s a 2")),
    "bad brackets": ("[a][b]\na=1\n", None, commands("--get f", "--set f s a 2")),
    "bad name": ("[s]\n= v\n", None, commands("--get f s", "--set f s a 2")),
    "bad start": ("[s]\n  a=1\n", None, commands("--get f s a")),
    "header comment": ("[s] # c\na=1\n[t];c\nb=2\n[ u ]\nc=3\n", None, commands(
        "--get --format=lines f", "--set f s a 2", ["--set", "f", " u ", "c", "4"],
    )),
}
