/* Turns scores into probabilities where they stand. */
static void softmax(float *scores, int32_t count) {
    const float top = scores[largest(scores, count)];
    float total = 0.0f;
    for (int32_t k = 0; k < count; k++) total += scores[k] = exponential(scores[k] - top);
    for (int32_t k = 0; k < count; k++) scores[k] /= total;
}
