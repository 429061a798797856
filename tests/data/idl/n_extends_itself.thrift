// expect: n_extends_itself.thrift:5:19: error: the service 'A' extends itself
// expect: error: the service 'C' is extended before it is defined
// expect: error: there is no service 'D'
// expect: error: there is no service 'X'
service A extends A { }
service B extends C { }
service C extends B { }
service E extends D { }
struct X { }
service F extends X { }
