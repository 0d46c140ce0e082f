//:title
#include "model.h"
//:include exact.c

//:tables
//:if dot
//:include dot_fp32.c

//:end
//:if activated
static inline float activated(float x, int32_t relu) { return relu && x < 0.0f ? 0.0f : x; }

//:end
//:if dense
typedef struct {
    const float *weight, *bias;
    int32_t inputs, outputs, relu;
} dense_layer;

static void dense(const float *x, float *y, const dense_layer *layer) {
    const float *weight = layer->weight;
    for (int32_t n = 0; n < layer->outputs; n += 4, weight += 4 * layer->inputs) {
        float sum[4];
        dot4(x, weight, layer->inputs, layer->bias + n, sum);
        for (int32_t j = 0; j < 4 && n + j < layer->outputs; j++) y[n + j] = activated(sum[j], layer->relu);
    }
}

//:end
//:if kernel
typedef struct {
    const float *weight, *bias;
    int16_t height, width, channels;        /* of the maps before */
    int16_t out_height, out_width, outputs; /* and after */
    int16_t kernel_height, kernel_width, stride, top, left, relu;
} kernel_layer;

//:end
//:if conv
/* The values under the kernel as one row, zeros where it hangs over the edge. */
static void gather(const float *x, float *window, const kernel_layer *layer, int32_t top, int32_t left) {
    const int32_t channels = layer->channels;
    for (int32_t i = top; i < top + layer->kernel_height; i++)
        for (int32_t j = left; j < left + layer->kernel_width; j++) {
            const float *end = window + channels;
            if (i < 0 || i >= layer->height || j < 0 || j >= layer->width) {
                while (window < end) *window++ = 0.0f;
                continue;
            }
            for (const float *at = x + (i * layer->width + j) * channels; window < end;) *window++ = *at++;
        }
}

static void conv(const float *x, float *y, float *window, const kernel_layer *layer) {
    const int32_t inputs = layer->kernel_height * layer->kernel_width * layer->channels;
    for (int32_t i = 0; i < layer->out_height; i++)
        for (int32_t j = 0; j < layer->out_width; j++) {
            const float *weight = layer->weight;
            gather(x, window, layer, i * layer->stride - layer->top, j * layer->stride - layer->left);
            for (int32_t n = 0; n < layer->outputs; n += 4, weight += 4 * inputs) {
                float sum[4];
                dot4(window, weight, inputs, layer->bias + n, sum);
                for (int32_t k = 0; k < 4 && n + k < layer->outputs; k++) *y++ = activated(sum[k], layer->relu);
            }
        }
}

//:end
//:if depthwise
static void depthwise(const float *x, float *y, const kernel_layer *layer) {
    const int32_t channels = layer->channels;
    for (int32_t i = 0; i < layer->out_height; i++)
        for (int32_t j = 0; j < layer->out_width; j++) {
            const int32_t top = i * layer->stride - layer->top, left = j * layer->stride - layer->left;
            const int32_t first_i = top < 0 ? -top : 0, first_j = left < 0 ? -left : 0;
            const int32_t last_i = layer->kernel_height < layer->height - top ? layer->kernel_height : layer->height - top;
            const int32_t last_j = layer->kernel_width < layer->width - left ? layer->kernel_width : layer->width - left;
            for (int32_t c = 0; c < channels; c++) {
                float sum = layer->bias[c];
                for (int32_t a = first_i; a < last_i; a++) {
                    const float *at = x + ((top + a) * layer->width + left + first_j) * channels + c;
                    const float *weight = layer->weight + (a * layer->kernel_width + first_j) * channels + c;
                    for (int32_t b = first_j; b < last_j; b++, at += channels, weight += channels) sum += *at * *weight;
                }
                *y++ = activated(sum, layer->relu);
            }
        }
}

//:end
//:if pool
typedef struct {
    int16_t width, channels, out_height, out_width, size, stride;
} pool_layer;

//:end
//:if max_pool
static void max_pool(const float *x, float *y, const pool_layer *layer) {
    for (int32_t i = 0; i < layer->out_height; i++)
        for (int32_t j = 0; j < layer->out_width; j++)
            for (int32_t c = 0; c < layer->channels; c++) {
                const float *at = x + (i * layer->width + j) * layer->stride * layer->channels + c;
                float best = *at;
                for (int32_t a = 0; a < layer->size; a++)
                    for (int32_t b = 0; b < layer->size; b++) {
                        const float value = at[(a * layer->width + b) * layer->channels];
                        if (value > best) best = value;
                    }
                *y++ = best;
            }
}

//:end
//:if average_pool
static void average_pool(const float *x, float *y, const pool_layer *layer) {
    const float area = (float)(layer->size * layer->size);
    for (int32_t i = 0; i < layer->out_height; i++)
        for (int32_t j = 0; j < layer->out_width; j++)
            for (int32_t c = 0; c < layer->channels; c++) {
                const float *at = x + (i * layer->width + j) * layer->stride * layer->channels + c;
                float sum = 0.0f;
                for (int32_t a = 0; a < layer->size; a++)
                    for (int32_t b = 0; b < layer->size; b++) sum += at[(a * layer->width + b) * layer->channels];
                *y++ = sum / area;
            }
}

//:end
//:if global_average
static void global_average(const float *x, float *y, int32_t area, int32_t channels) {
    for (int32_t c = 0; c < channels; c++) {
        float sum = 0.0f;
        for (int32_t i = 0; i < area; i++) sum += x[i * channels + c];
        y[c] = sum / (float)area;
    }
}

//:end
//:if pixels
static void centred(const uint8_t *x, float *y, int32_t count) {
    for (int32_t i = 0; i < count; i++) y[i] = (float)(x[i] - 128);
}

//:end
//:if copy
static void copy(const float *x, float *y, int32_t count, int32_t relu) {
    for (int32_t i = 0; i < count; i++) y[i] = activated(x[i], relu);
}

//:end
//:if softmax
//:include exponential.c

//:end
//:include largest.c

//:if softmax
//:include softmax.c

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
