# SPDX-License-Identifier: Apache-2.0
# fish completion for ferry-idl.

complete -c ferry-idl -n '__fish_use_subcommand' -a 'check diff format'
complete -c ferry-idl -s I -r -d 'folder of included files'
complete -c ferry-idl -s o -r -d 'folder of the output'
complete -c ferry-idl -l name -x -d 'name of the output'
complete -c ferry-idl -l depfile -r -d 'for make and ninja'
complete -c ferry-idl -l tables -d 'no functions'
complete -c ferry-idl -l stdout -d 'print'
complete -c ferry-idl -l version
complete -c ferry-idl -l help
complete -c ferry-idl -n '__fish_seen_subcommand_from diff' -l live -x -d 'of a broker'
complete -c ferry-idl -n '__fish_seen_subcommand_from format' -l check -d 'report only'
complete -c ferry-idl -n '__fish_seen_subcommand_from format' -s i -d 'in place'
