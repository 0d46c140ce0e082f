/* Place of the largest of some values, the first of equal ones. */
static int32_t largest(const float *values, int32_t count) {
    int32_t best = 0;
    for (int32_t k = 1; k < count; k++)
        if (values[k] > values[best]) best = k;
    return best;
}
