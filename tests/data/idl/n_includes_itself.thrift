// expect: n_includes_itself.thrift:2:9: error:
include "n_includes_itself.thrift"
