# SPDX-License-Identifier: Apache-2.0
# bash completion for ferry-idl.

_ferry_idl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=
    [[ COMP_CWORD -gt 1 ]] && command=${COMP_WORDS[1]}
    case $before in
    -o | -I) mapfile -t COMPREPLY < <(compgen -d -- "$word") && return ;;
    --depfile) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
    --live) mapfile -t COMPREPLY < <(compgen -W "${FERRY_URL-} tcp://127.0.0.1:5877" -- "$word") && return ;;
    esac
    case $command,$word in
    check,-*) mapfile -t COMPREPLY < <(compgen -W '-I' -- "$word") ;;
    diff,-*) mapfile -t COMPREPLY < <(compgen -W '-I --live' -- "$word") ;;
    format,-*) mapfile -t COMPREPLY < <(compgen -W '--check -i' -- "$word") ;;
    *,-*) mapfile -t COMPREPLY < <(compgen -W '-I -o --name --depfile --tables --stdout --version --help' -- "$word") ;;
    *)
        mapfile -t COMPREPLY < <(compgen -f -X '!*.thrift' -- "$word"; compgen -d -S / -- "$word")
        [[ COMP_CWORD -ne 1 ]] || COMPREPLY+=($(compgen -W 'check diff format' -- "$word"))
        ;;
    esac
}

complete -o filenames -F _ferry_idl ferry-idl
