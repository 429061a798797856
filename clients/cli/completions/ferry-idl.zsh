#compdef ferry-idl
# SPDX-License-Identifier: Apache-2.0
# zsh completion for ferry-idl.

_ferry_idl() {
    case ${words[2]} in
    check) _arguments '-I[folder of included files]:folder:_files -/' '*:interface:_files -g "*.thrift"' ;;
    diff) _arguments '-I[folder of included files]:folder:_files -/' '--live[of a broker]:url:' '*:interface:_files -g "*.thrift"' ;;
    format) _arguments '--check[report only]' '-i[in place]' '*:interface:_files -g "*.thrift"' ;;
    *)
        _arguments '-I[folder of included files]:folder:_files -/' '-o[folder of the output]:folder:_files -/' \
            '--name[name of the output]:name:' '--depfile[for make and ninja]:file:_files' '--tables[no functions]' \
            '--stdout[print]' '--version' '--help' '*:interface:{ _files -g "*.thrift"; ((CURRENT == 2)) && compadd check diff format }'
        ;;
    esac
}

_ferry_idl "$@"
