/* Runs the tabular template: encode a row's columns, compute its hidden units tile by tile, then the linear head. */
#include "tabular.h"

#include <math.h>
#include <string.h>

#define TILE TABULAR_TILE
#define GROUP TABULAR_GROUP
#define BLOCK TABULAR_BLOCK
#define CLIP 5.0f
#define INLINE static inline __attribute__((always_inline))

/* One binary for every x86-64: the loader picks the clone that the processor can run. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(TABULAR_PLAIN)
#define CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

/* Eight lanes: GCC and Clang turn these into whatever vectors the processor has. A tile is two of them. */
#define LANES 8
typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t places __attribute__((vector_size(4 * LANES)));
typedef struct {
    lanes low, high;
} pair;

INLINE lanes load(const float *at) {
    lanes x;
    memcpy(&x, at, sizeof x);
    return x;
}

INLINE void store(float *at, lanes x) { memcpy(at, &x, sizeof x); }

INLINE float clamp(float x, float low, float high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}

INLINE lanes select(places mask, lanes yes, lanes no) { return (lanes)((mask & (places)yes) | (~mask & (places)no)); }

INLINE lanes positive(lanes x) { return select(x > (lanes){0}, x, (lanes){0}); }

INLINE lanes clamp_lanes(lanes x, float low, float high) {
    const lanes lowest = (lanes){0} + low, highest = (lanes){0} + high;
    x = select(x < lowest, lowest, x);
    return select(x > highest, highest, x);
}

/* exp(x) for |x| <= 87: 2^n times a polynomial of the fraction, least squares on [-1/2, 1/2], exact to 2e-9 before rounding. */
INLINE lanes exp_fast(lanes x) {
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest whole number in the low bits */
    lanes scaled = x * 1.44269504f, shifted = scaled + round, f = scaled - (shifted - round);
    lanes p = f * 1.53375768e-4f + 1.33998604e-3f;
    p = p * f + 9.61851953e-3f;
    p = p * f + 5.55032900e-2f;
    p = p * f + 2.40226466e-1f;
    p = p * f + 6.93147206e-1f;
    p = p * f + 1.0f;
    return (lanes)((places)p + ((places)shifted << 23));
}

INLINE lanes tanh_fast(lanes x) { return 1.0f - 2.0f / (exp_fast(2.0f * clamp_lanes(x, -10.0f, 10.0f)) + 1.0f); }

INLINE lanes sigmoid_fast(lanes x) { return 1.0f / (exp_fast(-clamp_lanes(x, -40.0f, 40.0f)) + 1.0f); }

/* Linear interpolation in a table of knots; the ends are held. */
INLINE float interpolate(float x, const float *knots, const float *values, int32_t count) {
    int32_t at = 0;
    for (int32_t q = 1; q < count - 1; q++) at += x >= knots[q];
    float width = knots[at + 1] - knots[at];
    float share = width > 0 ? clamp((x - knots[at]) / width, 0.0f, 1.0f) : (x >= knots[at + 1] ? 1.0f : 0.0f);
    return values[at] + share * (values[at + 1] - values[at]);
}

INLINE void encode(const tabular_model *m, const float *numbers, const int32_t *codes, float *filled, float *encoded) {
    const int32_t wide = m->numbers + m->waves;
    float *out = encoded + wide + m->ranks;
    for (int32_t i = 0; i < wide; i++) {
        float x = i < m->numbers
                      ? numbers[i]
                      : sinf(6.28318531f * (m->wave_frequency[i - m->numbers] * numbers[m->wave_column[i - m->numbers]] +
                                            m->wave_phase[i - m->numbers]));
        filled[i] = x;
    }
    for (int32_t i = 0; i < m->flags; i++) {
        float x = filled[m->flag_column[i]];
        *out++ = x != x ? 1.0f : 0.0f;
    }
    for (int32_t i = 0; i < m->one_hots; i++) *out++ = codes[m->one_hot_word[i]] == m->one_hot_place[i] ? 1.0f : 0.0f;
    for (int32_t i = 0; i < wide; i++) {
        float x = filled[i];
        x = x != x ? m->median[i] : x;
        filled[i] = x;
        encoded[i] = clamp((x - m->center[i]) * m->scale[i], -CLIP, CLIP);
    }
    for (int32_t r = 0; r < m->ranks; r++)
        encoded[wide + r] = interpolate(filled[m->rank_column[r]], m->rank_knots + r * m->knots, m->rank_values + r * m->knots, m->knots);
}

/* Sixteen weighted sums for each of `rows` rows: x is [rows][inputs], weight [inputs][16]. */
INLINE void tile(int32_t rows, const float *x, int32_t inputs, const float *weight, const float *bias, pair out[BLOCK]) {
    pair sum[BLOCK];
    for (int32_t r = 0; r < rows; r++) sum[r] = (pair){load(bias), load(bias + LANES)};
    for (int32_t i = 0; i < inputs; i++) {
        lanes low = load(weight + i * TILE), high = load(weight + i * TILE + LANES);
        for (int32_t r = 0; r < rows; r++) {
            lanes value = (lanes){0} + x[r * inputs + i];
            sum[r].low += value * low;
            sum[r].high += value * high;
        }
    }
    for (int32_t r = 0; r < rows; r++) out[r] = sum[r];
}

INLINE void store_tanh(float *at, pair x) {
    store(at, tanh_fast(x.low));
    store(at + LANES, tanh_fast(x.high));
}

INLINE void gather(int32_t rows, const float *encoded, int32_t stride, const int32_t *column, float picked[BLOCK * GROUP]) {
    for (int32_t r = 0; r < rows; r++)
        for (int32_t c = 0; c < GROUP; c++) picked[r * GROUP + c] = encoded[r * stride + column[c]];
}

INLINE float dot(const float *a, const float *b, int32_t count) {
    lanes sums[2] = {{0}, {0}};
    float total = 0;
    int32_t i = 0;
    for (; i + TILE <= count; i += TILE) {
        sums[0] += load(a + i) * load(b + i);
        sums[1] += load(a + i + LANES) * load(b + i + LANES);
    }
    sums[0] += sums[1];
    for (int32_t j = 0; j < LANES; j++) total += sums[0][j];
    for (; i < count; i++) total += a[i] * b[i];
    return total;
}

INLINE void hidden_units(const tabular_model *m, int32_t rows, const float *encoded, float *hidden, int32_t units) {
    float picked[BLOCK * GROUP];
    pair sums[BLOCK], total[BLOCK];
    int32_t at = 0;
    for (int32_t t = 0; t < m->dense_tiles; t++, at += TILE) {
        tile(rows, encoded, m->width, m->dense_weight + (int64_t)t * m->width * TILE, m->dense_bias + t * TILE, sums);
        for (int32_t r = 0; r < rows; r++) store_tanh(hidden + r * units + at, sums[r]);
    }
    for (int32_t g = 0; g < m->sparse_groups; g++) {
        gather(rows, encoded, m->width, m->sparse_column + g * GROUP, picked);
        for (int32_t t = 0; t < m->sparse_tiles; t++, at += TILE) {
            int32_t n = g * m->sparse_tiles + t;
            tile(rows, picked, GROUP, m->sparse_weight + n * GROUP * TILE, m->sparse_bias + n * TILE, sums);
            for (int32_t r = 0; r < rows; r++) store_tanh(hidden + r * units + at, sums[r]);
        }
    }
    for (int32_t g = 0; g < m->leaf_groups; g++) {
        gather(rows, encoded, m->width, m->leaf_column + g * GROUP, picked);
        for (int32_t t = 0; t < m->leaf_tiles; t++, at += TILE) {
            const float *offset = m->leaf_offset + (g * m->leaf_tiles + t) * TILE;
            for (int32_t r = 0; r < rows; r++) total[r] = (pair){-load(offset), -load(offset + LANES)};
            for (int32_t step = 0; step < 3; step++) {
                int32_t n = (g * 3 + step) * m->leaf_tiles + t;
                tile(rows, picked, GROUP, m->leaf_slope + n * GROUP * TILE, m->leaf_bias + n * TILE, sums);
                for (int32_t r = 0; r < rows; r++) {
                    total[r].low += sigmoid_fast(sums[r].low);
                    total[r].high += sigmoid_fast(sums[r].high);
                }
            }
            for (int32_t r = 0; r < rows; r++) {
                store(hidden + r * units + at, positive(total[r].low));
                store(hidden + r * units + at + LANES, positive(total[r].high));
            }
        }
    }
}

INLINE void head(const tabular_model *m, const float *encoded, const float *hidden, int32_t units, float *out) {
    float top = -INFINITY, total = 0;
    for (int32_t k = 0; k < m->outputs; k++) {
        out[k] = m->head_bias[k] + dot(encoded, m->skip_weight + k * m->width, m->width) + dot(hidden, m->head_weight + k * units, units);
        top = out[k] > top ? out[k] : top;
    }
    if (!m->classes) return;
    for (int32_t k = 0; k < m->outputs; k++) total += out[k] = expf(out[k] - top);
    for (int32_t k = 0; k < m->outputs; k++) out[k] /= total;
}

static int32_t unit_count(const tabular_model *m) {
    return TILE * (m->dense_tiles + m->sparse_groups * m->sparse_tiles + m->leaf_groups * m->leaf_tiles);
}

INLINE void block(const tabular_model *m, int32_t rows, const float *numbers, const int32_t *codes, float *scratch, float *out) {
    const int32_t units = unit_count(m);
    float *encoded = scratch, *hidden = encoded + BLOCK * m->width, *filled = hidden + BLOCK * units;
    for (int32_t r = 0; r < rows; r++)
        encode(m, numbers + r * m->numbers, codes + r * m->words, filled, encoded + r * m->width);
    hidden_units(m, rows, encoded, hidden, units);
    for (int32_t r = 0; r < rows; r++)
        head(m, encoded + r * m->width, hidden + r * units, units, out + r * m->outputs);
}

int32_t tabular_scratch(const tabular_model *m) {
    return BLOCK * (m->width + unit_count(m)) + m->numbers + m->waves;
}

CLONES void tabular_predict(const tabular_model *m, int32_t rows, const float *numbers, const int32_t *codes, float *scratch,
                            float *outputs) {
    int32_t r = 0;
    for (; r + BLOCK <= rows; r += BLOCK)
        block(m, BLOCK, numbers + (int64_t)r * m->numbers, codes + (int64_t)r * m->words, scratch, outputs + (int64_t)r * m->outputs);
    for (; r < rows; r++)
        block(m, 1, numbers + (int64_t)r * m->numbers, codes + (int64_t)r * m->words, scratch, outputs + (int64_t)r * m->outputs);
}

int32_t tabular_abi(void) { return TABULAR_ABI; }
