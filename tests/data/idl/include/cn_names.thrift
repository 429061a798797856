namespace * cnn
struct Cat { }
struct ListCat { 1: list<Cat> cats }
