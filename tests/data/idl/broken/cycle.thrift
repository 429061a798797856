include "../n_cyclic_include.thrift"
