//:title
#include "model.h"
//:include exact.c
//:include dsp.c

//:tables
//:if waves
//:include wave.c

//:end
//:if numbers
//:include column.c

/* A float in 4096ths, rounded. */
static int16_t fixed(float x) { return (int16_t)((int32_t)(x * 4096.0f + 32768.5f) - 32768); }

//:end
//:if ranks
/* The value at x on a line through the knots of a rank column; held beyond its ends. */
static int16_t rank(float x, int32_t column) {
    int32_t low = rank_start[column], high = rank_start[column + 1] - 1;
    if (!(x > rank_knots[low])) return rank_values[low];
    if (x >= rank_knots[high]) return rank_values[high];
    while (high - low > 1) {
        const int32_t middle = (low + high) >> 1;
        if (x >= rank_knots[middle]) low = middle;
        else high = middle;
    }
    const float share = (x - rank_knots[low]) / (rank_knots[high] - rank_knots[low]);
    const int32_t rise = rank_values[high] - rank_values[low];
    return (int16_t)(rank_values[low] + (((int32_t)(share * 32768.0f) * rise + 16384) >> 15));
}

//:end
//:if tanh
//:include tanh_int8.c

//:end
//:if dense
//:include rescale.c

/* Sums of the four outputs whose weights lie together. */
typedef struct {
    int32_t sum0, sum1, sum2, sum3;
} four;

//:include dot_int8.c

static int16_t dense_unit(int32_t sum, const int16_t *scale, const int16_t *values, int32_t n) {
//:if words
    for (const int16_t *hot = values + HOT; hot < values + HOT + WORDS; hot++)
        if (*hot >= 0) sum += 4096 * dense_row[DENSE * *hot + n];
//:else
    (void)values, (void)n;
//:end
    return (int16_t)tanh_of(rescale(sum + scale[1] * (1 << DENSE_BIAS_SHIFT), scale[0], 0));
}

/* Units on all columns: tanh(sum of value * weight + bias), four at a time. */
static int16_t *dense_units(const int16_t *values, int16_t *out) {
    const int16_t *weight = dense_weight, *scale = dense_scale;
    for (int32_t n = 0; n < DENSE; n += 4, weight += 2 * ALWAYS, scale += 8) {
        const four sums = dot4(values + ONE_HOTS, weight, ALWAYS / 2);
        *out++ = dense_unit(sums.sum0, scale, values, n);
        *out++ = dense_unit(sums.sum1, scale + 2, values, n + 1);
        *out++ = dense_unit(sums.sum2, scale + 4, values, n + 2);
        *out++ = dense_unit(sums.sum3, scale + 6, values, n + 3);
    }
    return out;
}

//:end
//:if sparse
/* Units on one column, then on two and so on: tanh(sum of value * weight + bias). */
static int16_t *sparse_units(const int16_t *values, int16_t *out) {
    const column_t *column = sparse_column;
    const int16_t *weight = sparse_weight, *bias = sparse_bias;
    for (int32_t taps = 1; taps <= SPARSE_TAPS; taps++)
        for (int32_t n = sparse_count[taps - 1]; n > 0; n--) {
            int32_t sum = *bias++ * (1 << SPARSE_BIAS_SHIFT);
            for (int32_t i = 0; i < taps; i++) sum += values[*column++] * *weight++;
            *out++ = (int16_t)tanh_of(sum >> SPARSE_SHIFT);
        }
    return out;
}

//:end
//:if leaf
/* Units of one threshold, of two and of three, soft: relu(sum of sigmoids - (their count - 1)), which is an AND.
   Slopes and biases are halved, for sigmoid(2 z) = (1 + tanh(z)) / 2. */
static int16_t *leaf_units(const int16_t *values, int16_t *out) {
    const column_t *column = leaf_column;
    const int16_t *slope = leaf_slope, *bias = leaf_bias;
    for (int32_t steps = 1; steps <= 3; steps++)
        for (int32_t n = leaf_count[steps - 1]; n > 0; n--) {
            int32_t sum = 32768 * (2 - steps);
            for (int32_t i = 0; i < steps; i++)
                sum += tanh_of((values[*column++] * *slope++ + *bias++ * (1 << LEAF_BIAS_SHIFT)) >> LEAF_SHIFT);
            *out++ = (int16_t)(sum < 0 ? 0 : sum >> 1);
        }
    return out;
}

//:end
//:include head_int8.c

//:if classes
//:include exponential.c

//:end
//:if classes
//:include largest.c

//:include softmax.c

//:end
int32_t model_predict(const float *numbers, const int32_t *categories, float *outputs, model_scratch *scratch) {
    int16_t *const values = scratch->values, *out = values;
//:if words
    for (int32_t s = 0; s < WORDS; s++) {
        const int32_t start = one_hot_start[s], count = one_hot_start[s + 1] - start, code = categories[s];
        values[HOT + s] = (int16_t)(code >= 0 && code < count ? start + code : -1);
        for (int32_t i = 0; i < count; i++) *out++ = i == code ? 4096 : 0;
    }
    out = values + ONE_HOTS;
//:else
    (void)categories;
//:end
//:if numbers
    for (int32_t c = 0; c < NUMBERS + WAVES; c++) *out++ = fixed(standard(numbers, c));
//:else
    (void)numbers;
//:end
//:if ranks
    for (int32_t r = 0; r < RANKS; r++) *out++ = rank(filled(numbers, rank_column[r]), r);
//:end
//:if flags
    for (int32_t f = 0; f < FLAGS; f++) {
        const float x = raw(numbers, flag_column[f]);
        *out++ = x == x ? 0 : 4096;
    }
//:end
//:if bare
    *out++ = 0;
//:end
//:if padded
    *out++ = 0;
//:end
//:if dense
    out = dense_units(values, out);
//:end
//:if sparse
    out = sparse_units(values, out);
//:end
//:if leaf
    out = leaf_units(values, out);
//:end
//:if odd
    *out = 0;
//:end
    for (int32_t k = 0; k < SCORES; k++) {
        int64_t sum = dot(values + ONE_HOTS, head_weight + k * (ALWAYS + UNITS), (ALWAYS + UNITS) / 2);
//:if words
        for (const int16_t *hot = values + HOT; hot < values + HOT + WORDS; hot++)
            if (*hot >= 0) sum += 4096 * head_row[SCORES * *hot + k];
//:end
        outputs[k] = (float)(int32_t)(sum >> HEAD_SHIFT) * head_scale[k] + head_bias[k];
    }
//:include outputs.c
}
