#compdef ferry
# SPDX-License-Identifier: Apache-2.0
# zsh completion for ferry. The words come from ferry itself: see `ferry completion`.

_ferry() {
    local -a offered complete open
    local line
    offered=("${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    for line in "${offered[@]}"; do
        [[ -z $line ]] && continue
        # No space after NAME=: the value follows in the same word.
        if [[ $line == *= ]]; then open+=("$line"); else complete+=("$line"); fi
    done
    (( $#complete )) && compadd -Q -- "${(@q)complete}"
    (( $#open )) && compadd -Q -S '' -- "${(@q)open}"
    (( $#complete + $#open )) || _files
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _ferry "$@"
else
    compdef _ferry ferry
fi
