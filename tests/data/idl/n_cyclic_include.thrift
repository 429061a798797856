// expect: includes itself through this file
include "broken/cycle.thrift"
