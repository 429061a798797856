// expect: includes itself, by way of this file
include "broken/cycle.thrift"
