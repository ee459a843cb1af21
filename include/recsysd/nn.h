/* nn: what small neural networks are made of: layers with their gradients, losses, dropout, Adam.
 *
 * Every function works over a pool (NULL: here) in pieces whose size does not depend on the number
 * of threads, and every sum has one order: same input, same bits, for any pool. One function at a
 * time per pool, so a network is a list of calls. A function that gets a NULL pool may be called
 * from a task, when a network is better split by its batch.
 *
 * Biases are no special case: an input of a dense layer ends with a column of ones, and its weights
 * with the biases. So the rows of an output layer, biases included, are vectors to be scanned. */
#ifndef RECSYSD_NN_H
#define RECSYSD_NN_H

#include "recsysd/base.h"
#include "recsysd/linalg.h"

/* ---- matrices (tiles.c) ------------------------------------------------------ */

/* A view of rows; borrowed. The columns of a wider matrix are one, too: see rec_matrix_columns. */
struct rec_matrix {
    float *data;
    size_t rows, cols, stride; /* stride >= cols: floats from one row to the next */
};
struct rec_matrix rec_matrix_of(float *data, size_t rows, size_t cols);
/* Columns first .. first+cols-1. */
struct rec_matrix rec_matrix_columns(const struct rec_matrix *matrix, size_t first, size_t cols);
/* The first `rows` rows: of a buffer made for the largest batch, those of a smaller one. */
struct rec_matrix rec_matrix_rows(const struct rec_matrix *matrix, size_t rows);
/* The last column becomes 1: what a dense layer's input ends with. */
void rec_matrix_ones(const struct rec_matrix *matrix);

/* C = A B, each optionally transposed: rec_dense_gemm in tiles. */
void rec_tiles_gemm(struct rec_pool *pool, bool a_transposed, bool b_transposed,
                    const struct rec_matrix *A, const struct rec_matrix *B,
                    const struct rec_matrix *C);

/* ---- variables and Adam (adam.c) ------------------------------------------------ */

/* What is learned: weights, their gradient, and the moments Adam keeps of it. */
struct rec_variable {
    size_t rows, cols;
    float *value;          /* [rows x cols], borrowed: a model's tensor, mostly */
    float *gradient;       /* [rows x cols]; NULL where a layer does not need it */
    float *first, *second; /* [rows x cols] */
};
/* value [rows x cols] borrowed, left as it is. A dense layer needs the room for a gradient, a
 * sparse one only where no step is taken with it (see there). errors: NO_MEMORY */
enum rec_status rec_variable_init(struct rec_variable *variable, float *value, size_t rows,
                                  size_t cols, bool with_gradient, struct rec_error *err);
void rec_variable_finish(struct rec_variable *variable); /* repeated calls are fine */
/* Normal numbers of this deviation in the first `cols` columns; one random stream a row, so that a
 * row's start does not depend on how many there are. `stream` tells variables apart. */
void rec_variable_randomize(struct rec_variable *variable, size_t cols, float deviation,
                            uint64_t seed, uint32_t stream);

/* source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015, with corrected bias.
 * decay is an L2 penalty: decay x value is added to the gradient. */
struct rec_adam {
    float rate, decay;
    uint64_t steps;
    struct rec_kernels_step step; /* the present step's */
};
void rec_adam_init(struct rec_adam *adam, float rate, float decay);
void rec_adam_next(struct rec_adam *adam); /* begins a step: once a batch, for all variables */

/* ---- dense layers (layer.c) -------------------------------------------------------- */

/* y = x Wᵀ for W [out x in + 1], x [n x in + 1] whose last column is 1, y [n x out]. */
void rec_layer_forward(struct rec_pool *pool, const struct rec_variable *W,
                       const struct rec_matrix *x, const struct rec_matrix *y);
/* From dy, the gradient of y: that of x (dx [n x in]; NULL: not wanted), then that of W into
 * W->gradient; with an Adam the step is taken, tile by tile, while the gradient is in the cache. */
void rec_layer_backward(struct rec_pool *pool, struct rec_variable *W, const struct rec_matrix *x,
                        const struct rec_matrix *dy, const struct rec_matrix *dx,
                        const struct rec_adam *adam);

/* ---- sparse inputs and embeddings (sparse.c) ----------------------------------------- */

/* A batch of sparse rows, by rows and by inputs: entries of one input stand together, in the order
 * of the rows, so its gradient is one sum. Room is taken once. Inputs may repeat within a row. */
struct rec_batch {
    size_t rows_max, entries_max;
    uint32_t inputs; /* numbers of inputs are below */
    size_t rows, entries;
    size_t *offset;    /* [rows_max + 1] */
    uint32_t *input;   /* [entries_max] */
    float *value;      /* [entries_max] */
    size_t touched;    /* inputs that occur */
    uint32_t *which;   /* [touched] in order of appearance */
    size_t *start;     /* [touched + 1] */
    uint32_t *row;     /* [entries_max] by input */
    float *row_value;  /* [entries_max] */
    uint32_t *counter; /* [inputs] 0 between batches */
};
enum rec_status rec_batch_create(size_t rows_max, size_t entries_max, uint32_t inputs,
                                 struct rec_batch **out, struct rec_error *err);
void rec_batch_destroy(struct rec_batch **batch);
size_t rec_batch_bytes(size_t rows_max, size_t entries_max, uint32_t inputs);
void rec_batch_clear(struct rec_batch *batch);
void rec_batch_add(struct rec_batch *batch, uint32_t input, float value); /* to the present row */
void rec_batch_end_row(struct rec_batch *batch);
/* After the last row: makes the order by inputs. cost: the entries, whatever the inputs. */
void rec_batch_group(struct rec_batch *batch);

/* y [n x out] = the sum of W's rows that a row of the batch names, each times its value. W [inputs
 * x out], or [inputs + 1 x out] whose last row is the bias. A batch of one entry of value 1 a row
 * is an embedding. cost: the entries x out. */
void rec_sparse_forward(struct rec_pool *pool, const struct rec_variable *W,
                        const struct rec_batch *batch, const struct rec_matrix *y);
/* Adam is lazy here: the moments of a row that the batch does not name stay as they are, as does
 * the row. It costs the entries, not the catalogue, and an item that is rarely seen is not moved by
 * the momentum of long ago. Without an Adam the gradient goes to W->gradient, named rows only.
 * W's rows have at most REC_SPARSE_COLS_MAX numbers. */
enum { REC_SPARSE_COLS_MAX = 4096 };
void rec_sparse_backward(struct rec_pool *pool, struct rec_variable *W,
                         const struct rec_batch *batch, const struct rec_matrix *dy,
                         const struct rec_adam *adam);

/* ---- activations (activation.c) ------------------------------------------------------- */

enum rec_activation {
    REC_ACTIVATION_IDENTITY,
    REC_ACTIVATION_RELU,
    REC_ACTIVATION_TANH,
    REC_ACTIVATION_SIGMOID
};
/* x = f(x) */
void rec_activation_forward(struct rec_pool *pool, enum rec_activation kind,
                            const struct rec_matrix *x);
/* dy *= f', from y = f(x) */
void rec_activation_backward(struct rec_pool *pool, enum rec_activation kind,
                             const struct rec_matrix *y, const struct rec_matrix *dy);

/* ---- dropout (dropout.c) ---------------------------------------------------------------- */

/* Masks without a state: a number is dropped by a hash of where it stands. So forward and backward
 * agree without a mask in memory, and threads may work in any order. */
struct rec_dropout {
    uint64_t key;
    uint32_t bar;
    float scale; /* 1 / (1 - rate): what is kept is raised, so nothing changes on average */
};
/* rate within [0, 1); step: a new one for each batch; layer tells masks of a step apart */
struct rec_dropout rec_dropout_of(float rate, uint64_t seed, uint64_t step, uint32_t layer);
float rec_dropout_at(const struct rec_dropout *dropout, uint64_t place); /* 0 or scale */
/* x *= mask; the gradient the same. Not for the column of ones: see rec_matrix_columns. */
void rec_dropout_apply(struct rec_pool *pool, const struct rec_dropout *dropout,
                       const struct rec_matrix *x);

/* ---- losses (loss.c, gaussian.c) ----------------------------------------------------------- */

/* Rows of what is right: row `user[i]` of targets belongs to row i. */
struct rec_targets {
    const struct rec_csr *rows;
    const uint32_t *row; /* [n] */
};
/* The multinomial likelihood of all items: sum over rows of -sum_i t_i log softmax(z)_i. Replaces z
 * by its gradient. Both times scale. row_loss [z->rows] is scratch.
 * source: Liang et al., "Variational autoencoders for collaborative filtering", 2018, eq. 2 */
double rec_loss_multinomial(struct rec_pool *pool, const struct rec_matrix *z,
                            const struct rec_targets *targets, float scale, double *row_loss);
/* Binary cross-entropy of all items on logits: an item with a target has label 1 and weighs the
 * target, one without has label 0 and weighs `negative` > 0. Otherwise as above. */
double rec_loss_bce_all(struct rec_pool *pool, const struct rec_matrix *z,
                        const struct rec_targets *targets, float negative, float scale,
                        double *row_loss);

/* Sums over logits z [pairs x n], the positives' row and then one of a negative each; z, `stride`
 * from one row to the next, is replaced by the gradient. Binary cross-entropy, label 1 for a
 * positive and 0 for a negative, ... */
double rec_loss_bce(float *z, size_t stride, size_t n, size_t pairs);
/* ... and -log sigmoid(positive - negative), for each negative of a positive.
 * source: Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", 2009 */
double rec_loss_bpr(float *z, size_t stride, size_t n, size_t pairs);

/* A Gaussian as a layer: stats [n x 2 d] are means, then logarithms of variances; out [n x d] =
 * mean + exp(log variance / 2) x a normal number. source: Kingma and Welling, 2014, section 2.4 */
void rec_gaussian_forward(struct rec_pool *pool, const struct rec_matrix *stats, uint64_t seed,
                          uint64_t step, const struct rec_matrix *out);
/* The gradient of stats from that of out, and scale x KL(Gaussian, standard normal) added to it;
 * returns that term. row_loss [n] is scratch. */
double rec_gaussian_backward(struct rec_pool *pool, const struct rec_matrix *stats,
                             const struct rec_matrix *out, const struct rec_matrix *dout,
                             float scale, const struct rec_matrix *dstats, double *row_loss);

#endif
