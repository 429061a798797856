# SPDX-License-Identifier: Apache-2.0
# A page's commands, run word for word. Lines of a block that begin with a prompt ("# ", "shop$ ", "hub# ") are commands; the
# other lines are what the command before them prints. Usage, after lib.sh: walk SECTION PAGE, with a function
# run_as PROMPT COMMAND, which leaves what the command prints in $work/got.

# The blocks of this language in the section with this title: blocks LANGUAGE SECTION PAGE
blocks() {
    awk -v language="$1" -v title="## $2" '
        /^## / { in_section = $0 == title }
        $0 == "```" language && in_section { inside = 1; next }
        /^```/ { inside = 0 }
        inside' "$3"
}

# A job's number differs each time.
numbers_aside() { sed -E 's/^[0-9]{10,}$/NUMBER/' "$1"; }

walk_compare() { # what the last command printed, with the page
    [ -n "$walk_command" ] || return
    n_checks=$((n_checks + 1))
    diff <(numbers_aside "$work/wanted") <(numbers_aside "$work/got") >"$work/difference" ||
        failed "$walk_command" "$work/difference"
}

n_commands=0
walk() {
    local line prompt walk_command=
    blocks console "$1" "$2" | placed >"$work/lines"
    : >"$work/wanted"
    while IFS= read -r line <&9; do
        if [[ $line =~ ^([a-z]*[#$])\ (.*)$ ]]; then
            walk_compare
            : >"$work/wanted"
            prompt=${BASH_REMATCH[1]} walk_command=${BASH_REMATCH[2]}
            n_commands=$((n_commands + 1))
            run_as "$prompt" "$walk_command"
        else
            printf '%s\n' "$line" >>"$work/wanted"
        fi
    done 9<"$work/lines"
    walk_compare
}
