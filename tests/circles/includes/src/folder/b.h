int b_count(void);
