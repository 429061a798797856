# SPDX-License-Identifier: Apache-2.0
# bash completion for ferry. The words come from ferry itself: see `ferry completion`.

_ferry() {
    # bash splits words at ':' and '=', as in tcp://host:5877 and name=value. Here a word ends where the
    # line has a space.
    local words=() word='' line i rest=${COMP_LINE:0:COMP_POINT}
    for ((i = 0; i <= COMP_CWORD; i++)); do
        if ((i > 0)) && [[ $rest != [[:space:]]* ]]; then
            words[-1]+=${COMP_WORDS[i]}
        else
            words+=("${COMP_WORDS[i]}")
        fi
        while [[ $rest == [[:space:]]* ]]; do rest=${rest:1}; done
        rest=${rest#"${COMP_WORDS[i]}"}
    done
    word=${words[-1]}
    # bash replaces only the text after the last ':' or '=' of the word.
    local before=${word%"${COMP_WORDS[COMP_CWORD]}"}
    [[ ${COMP_WORDS[COMP_CWORD]} == [:=] ]] && before=$word
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line#"$before"}")
    done < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
    # No space after NAME=: the value follows in the same word.
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}

complete -o default -F _ferry ferry
