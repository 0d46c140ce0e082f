//:title
#include "model.h"
//:include exact.c
//:include dsp.c

/* Rows hold a value in steps of their own, int16; maps in int8, from their own zero on, channels changing fastest. */

//:tables
//:if rescale
//:include rescale.c

//:end
//:if held
//:include held.c

//:end
//:if sums
/* Sums of the four outputs whose weights lie together. */
typedef struct {
    int32_t sum0, sum1, sum2, sum3;
} four;

//:end
//:if dot
//:include dot_int8.c

//:end
//:if dense
typedef struct {
    const int16_t *weight, *scale; /* of each output a multiplier and a bias */
    int32_t inputs, outputs, low;
} dense_layer;

static inline int16_t row_value(int32_t sum, const int16_t *scale, int32_t low) {
    const int32_t value = held(rescale(sum, scale[0], scale[1]));
    return (int16_t)(value < low ? low : value);
}

static void dense(const int16_t *x, int16_t *y, const dense_layer *layer) {
    const int16_t *weight = layer->weight, *scale = layer->scale;
    const int32_t low = layer->low, step = 2 * layer->inputs;
    for (const int16_t *end = y + layer->outputs; y < end; weight += step, scale += 8) {
        const four sums = dot4(x, weight, layer->inputs / 2);
        *y++ = row_value(sums.sum0, scale, low);
        *y++ = row_value(sums.sum1, scale + 2, low);
        *y++ = row_value(sums.sum2, scale + 4, low);
        *y++ = row_value(sums.sum3, scale + 6, low);
    }
}

//:end
//:if kernel
typedef struct {
    const void *weight;
    const int16_t *scale; /* of each channel a multiplier and a bias */
    int16_t height, width, channels, zero;  /* of the maps before */
    int16_t out_height, out_width, outputs; /* and after */
    int16_t kernel_height, kernel_width, stride, top, left;
    int16_t shift, bias_shift;
} kernel_layer;

static inline int8_t map_value(int32_t sum, const int16_t *scale, int32_t bias_shift, int32_t shift) {
    const int32_t value = rescale(sum, scale[0], scale[1] * (1 << bias_shift)) >> shift;
#ifdef MODEL_DSP
    return (int8_t)__ssat(value, 8);
#else
    return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
#endif
}

//:end
//:if conv
//:include dot_map.c

static int16_t *zeros(int16_t *to, int32_t count) {
    for (int16_t *end = to + count; to != end;) *to++ = 0;
    return to;
}

/* The values under the kernel as one row of int16, zeros where it hangs over the edge. */
static void gather(const int8_t *x, int16_t *window, const kernel_layer *layer, int32_t top, int32_t left) {
    const int32_t channels = layer->channels, zero = layer->zero, right = left + layer->kernel_width - layer->width;
    const int32_t before = left < 0 ? -left : 0, after = right > 0 ? right : 0;
    for (int32_t i = top; i < top + layer->kernel_height; i++) {
        if (i < 0 || i >= layer->height) {
            window = zeros(window, layer->kernel_width * channels);
            continue;
        }
        window = zeros(window, before * channels);
        const int8_t *at = x + (i * layer->width + left + before) * channels;
        for (const int8_t *end = at + (layer->kernel_width - before - after) * channels; at < end;) *window++ = (int16_t)(*at++ - zero);
        window = zeros(window, after * channels);
    }
    *window = 0; /* the row is read in pairs */
}

static void conv(const int8_t *x, int8_t *y, int16_t *window, const kernel_layer *layer) {
    const int32_t pairs = (layer->kernel_height * layer->kernel_width * layer->channels + 1) / 2;
    const int32_t bias_shift = layer->bias_shift, shift = layer->shift, outputs = layer->outputs;
    for (int32_t i = 0; i < layer->out_height; i++)
        for (int32_t j = 0; j < layer->out_width; j++) {
            const int16_t *weight = layer->weight, *scale = layer->scale;
            gather(x, window, layer, i * layer->stride - layer->top, j * layer->stride - layer->left);
            for (int32_t n = outputs; n > 0; n -= 4, weight += 4 * pairs, scale += 8) {
                const four sums = dot4_map(window, weight, pairs);
                *y++ = map_value(sums.sum0, scale, bias_shift, shift);
//:if ragged
                if (n > 1) *y++ = map_value(sums.sum1, scale + 2, bias_shift, shift);
                if (n > 2) *y++ = map_value(sums.sum2, scale + 4, bias_shift, shift);
                if (n > 3) *y++ = map_value(sums.sum3, scale + 6, bias_shift, shift);
//:else
                *y++ = map_value(sums.sum1, scale + 2, bias_shift, shift);
                *y++ = map_value(sums.sum2, scale + 4, bias_shift, shift);
                *y++ = map_value(sums.sum3, scale + 6, bias_shift, shift);
//:end
            }
        }
}

//:end
//:if depthwise
static void depthwise(const int8_t *x, int8_t *y, const kernel_layer *layer) {
    const int32_t channels = layer->channels;
    for (int32_t i = 0; i < layer->out_height; i++)
        for (int32_t j = 0; j < layer->out_width; j++) {
            const int32_t top = i * layer->stride - layer->top, left = j * layer->stride - layer->left;
            const int32_t first_i = top < 0 ? -top : 0, first_j = left < 0 ? -left : 0;
            const int32_t last_i = layer->kernel_height < layer->height - top ? layer->kernel_height : layer->height - top;
            const int32_t last_j = layer->kernel_width < layer->width - left ? layer->kernel_width : layer->width - left;
            for (int32_t c = 0; c < channels; c++) {
                int32_t sum = 0;
                for (int32_t a = first_i; a < last_i; a++) {
                    const int8_t *at = x + ((top + a) * layer->width + left + first_j) * channels + c;
                    const int8_t *weight = (const int8_t *)layer->weight + (a * layer->kernel_width + first_j) * channels + c;
                    for (int32_t b = first_j; b < last_j; b++, at += channels, weight += channels) sum += (*at - layer->zero) * *weight;
                }
                *y++ = map_value(sum, layer->scale + 2 * c, layer->bias_shift, layer->shift);
            }
        }
}

//:end
//:if pool
typedef struct {
    int16_t width, channels, out_height, out_width, size, stride, zero, multiplier, shift;
} pool_layer;

//:end
//:if max_pool
static void max_pool(const int8_t *x, int8_t *y, const pool_layer *layer) {
    for (int32_t i = 0; i < layer->out_height; i++)
        for (int32_t j = 0; j < layer->out_width; j++)
            for (int32_t c = 0; c < layer->channels; c++) {
                const int8_t *at = x + (i * layer->width + j) * layer->stride * layer->channels + c;
                int8_t best = *at;
                for (int32_t a = 0; a < layer->size; a++)
                    for (int32_t b = 0; b < layer->size; b++) {
                        const int8_t value = at[(a * layer->width + b) * layer->channels];
                        if (value > best) best = value;
                    }
                *y++ = best;
            }
}

//:end
//:if average_pool
static void average_pool(const int8_t *x, int8_t *y, const pool_layer *layer) {
    for (int32_t i = 0; i < layer->out_height; i++)
        for (int32_t j = 0; j < layer->out_width; j++)
            for (int32_t c = 0; c < layer->channels; c++) {
                const int8_t *at = x + (i * layer->width + j) * layer->stride * layer->channels + c;
                int32_t sum = 0;
                for (int32_t a = 0; a < layer->size; a++)
                    for (int32_t b = 0; b < layer->size; b++) sum += at[(a * layer->width + b) * layer->channels] - layer->zero;
                const int32_t mean = rescale(sum, layer->multiplier, (1 << layer->shift) >> 1) >> layer->shift;
                *y++ = (int8_t)(mean + layer->zero);
            }
}

//:end
//:if global_average
static void global_average(const int8_t *x, int16_t *y, int32_t area, int32_t channels, int32_t zero, int16_t multiplier, int32_t shift) {
    for (int32_t c = 0; c < channels; c++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < area; i++) sum += x[i * channels + c] - zero;
        y[c] = (int16_t)held(rescale(sum, multiplier, (1 << shift) >> 1) >> shift);
    }
}

//:end
//:if flatten
static void flatten(const int8_t *x, int16_t *y, int32_t count, int32_t zero) {
    for (int32_t i = 0; i < count; i++) y[i] = (int16_t)(x[i] - zero);
}

//:end
//:if relu_map
static void relu_map(const int8_t *x, int8_t *y, int32_t count, int32_t zero) {
    for (int32_t i = 0; i < count; i++) y[i] = (int8_t)(x[i] < zero ? zero : x[i]);
}

//:end
//:if relu_row
static void relu_row(const int16_t *x, int16_t *y, int32_t count) {
    for (int32_t i = 0; i < count; i++) y[i] = x[i] < 0 ? 0 : x[i];
}

//:end
//:if head
//:include head_int8.c

//:end
//:if softmax
//:include exponential.c

//:end
//:include largest.c

//:if softmax
//:include softmax.c

//:end
//:if floats
/* A value in steps, rounded and held to what fits; none at all counts as the largest. */
static int32_t quantised(float x, float steps, float low, float high) {
    const float value = x * steps, below = value < high ? value : high;
    return (int32_t)((below > low ? below : low) + 32768.5f) - 32768;
}

//:end

//:layers

//:if pixels
int32_t model_run(const uint8_t *pixels, float *outputs, model_scratch *scratch) {
//:else
int32_t model_run(const float *input, float *outputs, model_scratch *scratch) {
//:end
//:calls
    return largest(outputs, MODEL_OUTPUTS);
}
