/* A shared object that is no plugin. */
int just_a_library(void);
int
just_a_library(void)
{
    return 1;
}
