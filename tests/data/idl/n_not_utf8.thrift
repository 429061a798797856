// expect: error: the string is not UTF-8
const string A = "ÿ"
