// expect: n_xsd_names.thrift:7:19: error: 'xsd_all' is a keyword
// expect: n_xsd_names.thrift:8:19: error: 'cpp_type' is a keyword
// expect: n_xsd_names.thrift:9:19: error: 'xsd_optional' is a keyword
// expect: n_xsd_names.thrift:9:40: error: 'xsd_nillable' is a keyword
// expect: n_xsd_names.thrift:9:61: error: 'xsd_attrs' is a keyword
// Behind a type or a name they mean something else.
struct A { 1: i32 xsd_all }
struct B { 1: i32 cpp_type }
struct C { 1: i32 xsd_optional, 2: i32 xsd_nillable, 3: i32 xsd_attrs }
