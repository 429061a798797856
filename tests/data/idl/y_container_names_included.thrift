// The including file knows the other name.
include "include/cn_names.thrift"
namespace * cnn_user
struct User { 1: cn_names.ListCat cats = {"cats": [{}]} }
const cn_names.ListCat CATS = {"cats": [{}, {}]}
