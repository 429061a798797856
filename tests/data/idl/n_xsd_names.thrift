// expect: error: 'xsd_all' is a keyword
struct A { 1: i32 xsd_all }
