include "n_same_guard.thrift"
struct Via { 1: n_same_guard.Other other }
