/* Name of a class by its place; costs flash only where it is called. */
static inline const char *model_class(int32_t place) {
    static const char *const names[MODEL_OUTPUTS] = {
//:classes
    };
    return names[place];
}
