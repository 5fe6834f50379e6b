int a_count(void);
int a_size(int number);
