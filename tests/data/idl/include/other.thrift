include "shared.thrift"
namespace * other.deep

struct Other { 1: shared.Common common }
