"""What wasmedgectl says about itself agrees: help, manual page, completion scripts."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

top_srcdir = os.environ.get("top_srcdir", ".")
program = os.path.join(os.environ.get("top_builddir", "."), "wasmedgectl")
passed = failed = skipped = 0


def check(name, ok, detail=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {name}: {detail}")


def skip(name, why):
    global skipped
    skipped += 1
    print(f"SKIP {name}: {why}")


def ctl(*args):
    return subprocess.run([program, *args], capture_output=True, text=True, timeout=20,
                          check=True).stdout


def rows(text, heading):
    """First words of the rows under a heading of a help text."""
    part = text.split(heading + "\n", 1)[1].split("\n\n")[0]
    return [line.strip() for line in part.split("\n") if re.match(r"  (?:    --|\S)", line)]


def options(text, heading):
    """Options under a heading, long and short, as typed."""
    found = []
    for row in rows(text, heading) if heading in text else []:
        found += re.findall(r"(?:^|, )(--?[A-Za-z-]+)", row)
    return found


def all_verbs():
    names = []
    for row in rows(ctl("--help"), "Verbs:"):
        name = re.match(r"[a-z]+(?: [a-z]+)*", row.split("  ")[0]).group()
        names.append(name)
    return names


HELP = ctl("--help")
VERBS = all_verbs()
COMMON = options(HELP, "Options of all verbs:") + ["--help"]
OPTIONS = {verb: options(ctl(*verb.split(), "--help"), "Options:") for verb in VERBS}


def test_table():
    check("the table has the verbs of a daemon's client",
          {"module push", "invoke", "run", "job wait", "doctor"} <= set(VERBS), VERBS)
    check("run has its options", "--stdin" in OPTIONS["run"] and "-e" in OPTIONS["run"],
          OPTIONS["run"])


def test_manual():
    with open(os.path.join(top_srcdir, "man", "wasmedgectl.1"), encoding="utf-8") as file:
        page = file.read()
    made = re.search(r"Begin:\n(.*)\.\\\" End\.", page, re.S).group(1)
    want = ctl("__mdoc")
    check("the manual page has the lists that wasmedgectl __mdoc prints", made == want,
          "put the output of wasmedgectl __mdoc between the comments Begin and End")
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 124, 130, 134):
        check(f"the manual page has exit status {code}", f".It {code}\n" in page)


def complete(script, line, environment=None):
    """What bash offers for a line, typed to its end."""
    words = line.split(" ")
    result = subprocess.run(
        ["bash", "--norc", "-c",
         'source "$1"; COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=($2) COMP_CWORD=$3; _wasmedgectl;'
         'printf "%s\\n" "${COMPREPLY[@]}"', "bash", script, line, str(len(words) - 1)],
        capture_output=True, text=True, timeout=20, env=environment, check=False)
    return [word for word in result.stdout.split("\n") if word], result.stderr


def same(script, line, want):
    got, errors = complete(script, line)
    check(f"bash completes '{line}'", sorted(got) == sorted(want) and errors == "",
          f"got {got}, want {want} {errors}")


def test_bash(folder):
    script = os.path.join(folder, "bash")
    with open(script, "w", encoding="utf-8") as file:
        file.write(ctl("completion", "bash"))
    parsed = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    check("bash parses the script", parsed.returncode == 0, parsed.stderr)

    same(script, "wasmedgectl ", {verb.split()[0] for verb in VERBS})
    for group in {verb.split()[0] for verb in VERBS if " " in verb}:
        same(script, f"wasmedgectl {group} ",
             [verb.split()[1] for verb in VERBS if verb.startswith(group + " ")])
    for verb in VERBS:
        same(script, f"wasmedgectl {verb} -", COMMON + OPTIONS[verb])
    same(script, "wasmedgectl module pu", ["push"])
    same(script, "wasmedgectl -v --host x modu", ["module"])
    same(script, "wasmedgectl -o ", ["table", "json", "yaml", "name"])
    same(script, "wasmedgectl --output=j", ["json"])
    same(script, "wasmedgectl completion f", ["fish"])
    same(script, "wasmedgectl job ls --state r", ["running", "returned"])
    same(script, "wasmedgectl run x -- -", [])
    same(script, "wasmedgectl nonsense ", [])


def test_hostile_candidates(folder):
    """Names that a server chose are never evaluated."""
    script = os.path.join(folder, "bash")
    fake = os.path.join(folder, "wasmedgectl")
    mark = os.path.join(folder, "mark")
    with open(fake, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\necho 'demo/app:1'\n"
                   f"echo '$(touch {mark})'\necho '`touch {mark}`'\n")
    os.chmod(fake, 0o755)
    environment = dict(os.environ, PATH=folder + ":" + os.environ["PATH"])
    got, _ = complete(script, "wasmedgectl run ", environment)
    check("a candidate is offered", "demo/app:1" in got, got)
    check("a candidate is not evaluated", not os.path.exists(mark), got)
    check("what is not plain is quoted", not any("$(" in word for word in got), got)
    got, _ = complete(script, "wasmedgectl run demo/app:", environment)
    check("only what follows the colon is replaced", got == ["1"], got)


def test_other_shells(folder):
    for shell, flags in (("zsh", ["-n"]), ("fish", ["--no-config", "--no-execute"])):
        text = ctl("completion", shell)
        for verb in VERBS:
            check(f"{shell} knows {verb}",
                  f"'{verb}')" in text if shell == "zsh" else verb.split()[-1] in text)
            for option in OPTIONS[verb]:
                want = option + "[" if shell == "zsh" else "-l " + option[2:]
                if option.startswith("--"):
                    check(f"{shell} knows {verb} {option}",
                          want in text or option + "=[" in text, verb)
        path = os.path.join(folder, shell)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        if shutil.which(shell) is None:
            skip(f"{shell} parses the script", f"no {shell} here")
            continue
        parsed = subprocess.run([shell, *flags, path], capture_output=True, text=True, check=False)
        check(f"{shell} parses the script", parsed.returncode == 0, parsed.stderr)


def main():
    with tempfile.TemporaryDirectory() as folder:
        test_table()
        test_manual()
        test_bash(folder)
        test_hostile_candidates(folder)
        test_other_shells(folder)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


sys.exit(main())
