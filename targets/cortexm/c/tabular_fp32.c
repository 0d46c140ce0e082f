//:title
#include "model.h"
//:include exact.c

//:tables
//:if waves
//:include wave.c

//:end
//:if numbers
//:include column.c

//:end
//:if ranks
/* The value at x on a line through the knots of a rank column; held beyond its ends. */
static float rank(float x, int32_t column) {
    int32_t low = rank_start[column], high = rank_start[column + 1] - 1;
    if (!(x > rank_knots[low])) return rank_values[low];
    if (x >= rank_knots[high]) return rank_values[high];
    while (high - low > 1) {
        const int32_t middle = (low + high) >> 1;
        if (x >= rank_knots[middle]) low = middle;
        else high = middle;
    }
    const float share = (x - rank_knots[low]) / (rank_knots[high] - rank_knots[low]);
    return rank_values[low] + share * (rank_values[high] - rank_values[low]);
}

//:end
//:if exponential
//:include exponential.c

//:end
//:if tanh
static float tanh_of(float x) {
    const float size = x < 0.0f ? -x : x, e = exponential(-2.0f * size), y = (1.0f - e) / (1.0f + e);
    return x < 0.0f ? -y : y;
}

//:end
//:if dense
//:include dot_fp32.c

/* Units on all columns: tanh(sum of value * weight + bias), four at a time. */
static float *dense_units(const model_scratch *scratch, float *out) {
    const float *weight = dense_weight;
    for (int32_t n = 0; n < DENSE; n += 4, weight += 4 * ALWAYS) {
        float sum[4];
        dot4(scratch->values + ONE_HOTS, weight, ALWAYS, dense_bias + n, sum);
//:if words
        for (int32_t s = 0; s < WORDS; s++)
            if (scratch->hot[s] >= 0)
                for (int32_t j = 0; j < 4; j++) sum[j] += dense_row[DENSE * scratch->hot[s] + n + j];
//:end
        for (int32_t j = 0; j < 4; j++) *out++ = tanh_of(sum[j]);
    }
    return out;
}

//:end
//:if sparse
/* Units on one column, then on two and so on: tanh(sum of value * weight + bias). */
static float *sparse_units(const float *values, float *out) {
    const column_t *column = sparse_column;
    const float *weight = sparse_weight, *bias = sparse_bias;
    for (int32_t taps = 1; taps <= SPARSE_TAPS; taps++)
        for (int32_t n = sparse_count[taps - 1]; n > 0; n--) {
            float sum = *bias++;
            for (int32_t i = 0; i < taps; i++) sum += values[*column++] * *weight++;
            *out++ = tanh_of(sum);
        }
    return out;
}

//:end
//:if leaf
/* Units of one threshold, of two and of three, soft: relu(sum of sigmoids - (their count - 1)), which is an AND.
   Slopes and biases are halved, for sigmoid(2 z) = (1 + tanh(z)) / 2. */
static float *leaf_units(const float *values, float *out) {
    const column_t *column = leaf_column;
    const float *slope = leaf_slope, *bias = leaf_bias;
    for (int32_t steps = 1; steps <= 3; steps++)
        for (int32_t n = leaf_count[steps - 1]; n > 0; n--) {
            float sum = (float)(2 - steps);
            for (int32_t i = 0; i < steps; i++) sum += tanh_of(values[*column++] * *slope++ + *bias++);
            *out++ = sum < 0.0f ? 0.0f : 0.5f * sum;
        }
    return out;
}

//:end
//:if classes
//:include largest.c

//:include softmax.c

//:end
int32_t model_predict(const float *numbers, const int32_t *categories, float *outputs, model_scratch *scratch) {
    float *const values = scratch->values, *out = values;
//:if words
    for (int32_t s = 0; s < WORDS; s++) {
        const int32_t start = one_hot_start[s], count = one_hot_start[s + 1] - start, code = categories[s];
        scratch->hot[s] = (int16_t)(code >= 0 && code < count ? start + code : -1);
        for (int32_t i = 0; i < count; i++) *out++ = i == code ? 1.0f : 0.0f;
    }
//:else
    (void)categories;
//:end
//:if numbers
    for (int32_t c = 0; c < NUMBERS + WAVES; c++) *out++ = standard(numbers, c);
//:else
    (void)numbers;
//:end
//:if ranks
    for (int32_t r = 0; r < RANKS; r++) *out++ = rank(filled(numbers, rank_column[r]), r);
//:end
//:if flags
    for (int32_t f = 0; f < FLAGS; f++) {
        const float x = raw(numbers, flag_column[f]);
        *out++ = x == x ? 0.0f : 1.0f;
    }
//:end
//:if bare
    *out++ = 0.0f;
//:end
//:if dense
    out = dense_units(scratch, out);
//:end
//:if sparse
    out = sparse_units(values, out);
//:end
//:if leaf
    out = leaf_units(values, out);
//:end
    const float *weight = head_weight;
    for (int32_t k = 0; k < SCORES; k++) {
        float sum = 0.0f;
        for (const float *value = values + ONE_HOTS; value < values + ONE_HOTS + ALWAYS + UNITS; value++) sum += *value * *weight++;
//:if words
        for (int32_t s = 0; s < WORDS; s++)
            if (scratch->hot[s] >= 0) sum += head_row[SCORES * scratch->hot[s] + k];
//:end
        outputs[k] = sum + head_bias[k];
    }
//:include outputs.c
}
