struct A { 1: Foo x }
// expect: n_bom.thrift:1:15: error: there is no type 'Foo'
// expect:     1 | struct A { 1: Foo x }
// expect:       |               ^~~
