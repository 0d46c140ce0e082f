/* The tabular template in C: a generated model's tables, and one function that runs it. No allocation, no global state. */
#ifndef MODELGPT_EDGE_TABULAR_H
#define MODELGPT_EDGE_TABULAR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TABULAR_ABI 1
#define TABULAR_TILE 16   /* units are stored and computed sixteen at a time */
#define TABULAR_GROUP 8   /* columns that a group of sparse or leaf units shares */
#define TABULAR_BLOCK 4   /* rows that share one pass over the weights */

/* Letters as in the numpy reference: C numbers, W waves, R rank columns, Q knots, M flags, S words, D encoded columns.
   Weights of units lie in tiles: [tile][input][16]. Unit counts are padded to whole tiles with zeros. */
typedef struct {
    int32_t numbers, waves, ranks, knots, flags, words, one_hots, width;  /* C, W, R, Q, M, S, one-hot columns, D */
    int32_t dense_tiles;                                                 /* tiles of D inputs */
    int32_t sparse_groups, sparse_tiles;                                 /* G, tiles a group of 8 inputs */
    int32_t leaf_groups, leaf_tiles;                                     /* H, tiles a group and step; 3 steps */
    int32_t outputs, classes;                                            /* K; 1 where outputs are probabilities */
    const int32_t *wave_column, *rank_column, *flag_column, *one_hot_word, *one_hot_place;
    const int32_t *sparse_column, *leaf_column;
    const float *wave_frequency, *wave_phase, *median, *center, *scale;
    const float *rank_knots, *rank_values;                               /* [R][Q] */
    const float *dense_weight, *dense_bias, *sparse_weight, *sparse_bias;
    const float *leaf_slope, *leaf_bias, *leaf_offset;
    const float *skip_weight, *head_weight, *head_bias;                  /* [K][D], [K][units], [K] */
} tabular_model;

/* Floats of scratch that tabular_predict needs, whatever the number of rows. */
int32_t tabular_scratch(const tabular_model *model);

/* numbers [rows][C], NaN where missing; codes [rows][S], -1 for unknown words; outputs [rows][K]. */
void tabular_predict(const tabular_model *model, int32_t rows, const float *numbers, const int32_t *codes,
                     float *scratch, float *outputs);

int32_t tabular_abi(void);

#ifdef __cplusplus
}
#endif

#endif
