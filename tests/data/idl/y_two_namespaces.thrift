// expect: error: there are two namespaces for '*'
namespace * a
namespace * b
