// expect: n_ferry_prefix.thrift:3:13: error: the C names of this file would begin with 'ferry_', like the names of the library
// expect: hint: add 'namespace c other_name'
namespace * ferry
enum Bytes { A }
