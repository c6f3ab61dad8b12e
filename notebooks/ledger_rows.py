"""The rows of the ledger: what is claimed where, what is predicted, and how exact we want it.

The numbers measured are in none of them: see ledger.py.
"""

from __future__ import annotations

import math

import ledger_classic as classic
import ledger_modern as modern
import ledger_theory as derived
from ledger_row import row
from winit import theory

STATISTICS, BEFORE, SOURCE, LOOKED = "statistics", "before", "source", "after"
READ, SECOND, RECALLED, HEARD = "read", "second-hand", "remembered", "often said"

XAVIER = [
    row(
        ("C01", "lecun1998", "section 4.4"),
        "The second derivative of 1.7159 tanh(2x/3) is largest at 1",
        (1.0, RECALLED, lambda: 1.5 * math.atanh(1 / math.sqrt(3)), "0.02", LOOKED),
        ("17_reproductions", classic.c01_bend, True),
    ),
    row(
        ("C01v", "lecun1998", "section 4.4"),
        "LeCun's tanh: the variance of the outputs is also close to 1 (2% is our bound)",
        (1.0, RECALLED, lambda: theory.second_moment("lecun_tanh"), "2%", LOOKED),
        ("17_reproductions", classic.c01_variance, True),
    ),
    row(
        ("C02", "glorot2010", "eq. 6 and figure 7"),
        "Standard rule: in the linear regime four layers leave 1/81 of gradient²",
        (1 / 81, READ, lambda: derived.gradient_left(3**-0.5, 4, 0.01), "12%", STATISTICS),
        ("17_reproductions", classic.c02_standard, False),
    ),
    row(
        ("C02s", "glorot2010", "section 4.3"),
        "Xavier's rule: no decreasing gradients (inputs of std 0.1)",
        (1.0, READ, lambda: derived.gradient_left(1.0, 4, 0.01), "12%", STATISTICS),
        ("17_reproductions", classic.c02_small, False),
    ),
    row(
        ("C02n", "glorot2010", "section 4.3"),
        "Xavier's rule: no decreasing gradients (inputs of std 1)",
        (1.0, READ, lambda: derived.gradient_left(1.0, 4), "12%", STATISTICS),
        ("17_reproductions", classic.c02_normalized, False),
    ),
    row(
        ("C02b", "glorot2010", "eq. 14 and figure 8"),
        "Standard rule: the weights' gradients are equal in all layers (largest over smallest)",
        (1.0, READ, lambda: derived.weight_gradients(3**-0.5), "x1.5", LOOKED),
        ("17_reproductions", classic.c02b_weights, False),
    ),
    row(
        ("C02d", "glorot2010", "eq. 8 and 10"),
        "Xavier's rule should keep the size of activations (inputs of std 1; layer 5 over layer 1)",
        (
            1.0,
            READ,
            lambda: derived.stanford(500**-0.5, 5) / derived.stanford(500**-0.5, 1),
            "0.92%",
            STATISTICS,
        ),
        ("17_reproductions", classic.c02c_keeps, False),
    ),
    row(
        ("C03", "glorot2010", "section 4.2.2"),
        "Xavier's rule: average singular values are around 0.8 (inputs of std 0.3)",
        (0.8, READ, None, "0.05", SOURCE),
        ("17_reproductions", classic.c03_normalized, False),
    ),
    row(
        ("C03s", "glorot2010", "section 4.2.2"),
        "Standard rule: the average singular value drops down to 0.5",
        (0.5, READ, lambda: 8 / (3 * math.pi * math.sqrt(3)), "0.05", SOURCE),
        ("17_reproductions", classic.c03_standard, False),
    ),
    row(
        ("C03u", "glorot2010", "section 4.2.2"),
        "Xavier's rule: average singular values are around 0.8 (inputs of std 1)",
        (0.8, READ, None, "0.05", SOURCE),
        ("17_reproductions", classic.c03_unit, False),
    ),
    row(
        ("C36", "glorot2010", "figure 2"),
        "Four sigmoid layers: the last is soon driven to 0 (its mean after an epoch, rate 0.5)",
        (0.0, READ, None, "0.1", LOOKED),
        ("17_reproductions", classic.c36_top_layer, False),
    ),
    row(
        ("N16", "glorot2010", "eq. 12"),
        "Xavier's compromise loses signal over ten bottlenecks, 512 to 64 (what is left)",
        (None, READ, lambda: (512 * 64 * 4 / 576**2) ** 10, "17%", STATISTICS),
        ("05_xavier", classic.n16_bottlenecks, False),
    ),
]

TANH = [
    row(
        ("C04a", "cs231n2016", "slides, std 0.01"),
        "Ten tanh layers, weights of std 0.01: std at layer 5",
        (0.000532, READ, lambda: derived.stanford(0.01, 5), "6%", LOOKED),
        ("04_variance", classic.c04_small, True),
    ),
    row(
        ("C04b", "cs231n2016", "slides, Xavier"),
        "Ten tanh layers, Xavier's rule: std at layer 10",
        (0.228008, RECALLED, lambda: derived.stanford(500**-0.5, 10), "5%", LOOKED),
        ("04_variance", classic.c04_xavier, False),
    ),
    row(
        ("C04c", "cs231n2016", "slides, He"),
        "ReLU layers, He's rule: std at layer 1",
        (0.825232, READ, lambda: math.sqrt(1 - 1 / math.pi), "2%", LOOKED),
        ("17_reproductions", classic.c04_he, True),
    ),
    row(
        ("C05", "glorot2010", "as it is retold"),
        "Xavier's rule keeps the signal of tanh (second moment, layer 50)",
        (1.0, HEARD, lambda: derived.passage(1.0, 49)[0][-1], "35%", STATISTICS),
        ("16_myths", classic.c05_keeps, False),
    ),
    row(
        ("N15", "lippe2024", "Xavier with tanh"),
        "Under Xavier's rule tanh's variance stabilizes around 0.25 (layer 20)",
        (0.25, SECOND, lambda: derived.passage(1.0, 20)[0][-1], "16%", STATISTICS),
        ("16_myths", classic.n15_quarter, False),
    ),
    row(
        ("C28", "paszke2019", "calculate_gain"),
        "Gain 5/3 for tanh keeps the std of the activations at 1",
        (
            1.0,
            HEARD,
            lambda: math.sqrt(theory.fixed_point("tanh", 5 / 3).q_star) * 0.6,
            "3%",
            LOOKED,
        ),
        ("05_xavier", classic.c28_keeps, False),
    ),
    row(
        ("C39", "paszke2019", "calculate_gain"),
        "Gain 5/3 for tanh keeps the gradient's second moment, a layer",
        (1.0, HEARD, lambda: derived.chi_at_rest("tanh", 5 / 3), "1.3%", STATISTICS),
        ("05_xavier", classic.c28_gradient, False),
    ),
    row(
        ("C40", "theano2010", "mlp.py"),
        "Sigmoid should have four times Xavier's weights (gradient² kept, a layer)",
        (1.0, READ, lambda: derived.chi_at_rest("sigmoid", 4.0), "8%", LOOKED),
        ("16_myths", classic.c40_sigmoid, False),
    ),
]

HE = [
    row(
        ("C07", "he2015", "eq. 10"),
        "ReLU with variance 2/n keeps |x|², a layer",
        (1.0, SECOND, lambda: 1.0, "0.5%", STATISTICS),
        ("06_he", classic.c07_he, True),
    ),
    row(
        ("C07x", "he2015", "section 2.2"),
        "ReLU with Xavier's variance halves |x|², a layer",
        (0.5, SECOND, lambda: 0.5, "0.5%", STATISTICS),
        ("06_he", classic.c07_xavier, True),
    ),
    row(
        ("C07p", "paszke2019", "nn.Linear"),
        "ReLU with PyTorch's default weights leaves a sixth of |x|², a layer",
        (None, READ, lambda: 1 / 6, "0.5%", STATISTICS),
        ("11_pytorch", classic.c07_pytorch, True),
    ),
    row(
        ("N13", "paszke2019", "nn.Linear"),
        "ReLU with PyTorch's biases, too: q settles at 0.4 over the width (width times q)",
        (None, READ, lambda: 0.4, "15%", LOOKED),
        ("11_pytorch", classic.n13_biases, True),
    ),
    row(
        ("C08", "he2015", "section 2.2"),
        "VGG with std 0.01: the gradient is 1.7e4 times smaller than with their stds",
        (1.7e4, SECOND, derived.vgg, "3%", SOURCE),
        ("06_he", classic.c08_vgg, True),
    ),
    row(
        ("C09", "he2015", "figure 3"),
        "Thirty layers: Xavier's rule completely stalls (loss after two epochs: ln 10)",
        (math.log(10), SECOND, lambda: math.log(10), "0.01", LOOKED),
        ("06_he", classic.c09_stalls, False),
    ),
    row(
        ("C09g", "he2015", "section 2.2"),
        "Thirty layers: the first gradient is 2 to the power 15 smaller than with He's rule",
        (None, SECOND, lambda: 15.0, "2", LOOKED),
        ("06_he", classic.c09_gradient, False),
    ),
    row(
        ("C41", "he2015", "as it is retold"),
        "He's rule keeps the variance of the activations at 1",
        (1.0, HEARD, lambda: 1 - 1 / math.pi, "10%", LOOKED),
        ("16_myths", classic.c41_variance, False),
    ),
    row(
        ("C13b", "sussillo2014", "main point"),
        "With He's rule ln |x|² drifts down (200 layers of width 100)",
        (
            None,
            SECOND,
            lambda: 200 * (derived.log_chi_square(100, 0) - math.log(50)),
            "0.65",
            STATISTICS,
        ),
        ("06_he", classic.c13_typical, False),
    ),
    row(
        ("C13", "sussillo2014", "eq. for ReLU"),
        "A gain of √2 exp(1.2/(N - 2.4)) keeps ln |x|² level at width N = 100",
        (derived.walk_gain(100), SECOND, lambda: derived.level_gain(100), "0.23%", STATISTICS),
        ("06_he", classic.c13_walk, False),
    ),
    row(
        ("C13n", "sussillo2014", "eq. for ReLU"),
        "A gain of √2 exp(1.2/(N - 2.4)) keeps ln |x|² level at width N = 6",
        (derived.walk_gain(6), SECOND, lambda: derived.level_gain(6), "0.62%", STATISTICS),
        ("06_he", classic.c13_narrow, True),
    ),
    row(
        ("C14", "hanin2018", "main theorem"),
        "The variance of ln |x|² is about 5 Σ 1/n (20 layers of width 50)",
        (2.0, RECALLED, lambda: 20 * derived.log_chi_square(50, 1), "15%", LOOKED),
        ("06_he", classic.c14_fluctuations, True),
    ),
    row(
        ("C15", "haninrolnick2018", "figure 1"),
        "He's normal, cut at two stds and not corrected, loses signal in each layer",
        (None, RECALLED, derived.uncorrected_cut, "10%", STATISTICS),
        ("09_keras_settings", classic.c15_cut, False),
    ),
    row(
        ("C26", "lu2020", "theorem"),
        "Two units a layer, ten layers: the share of ReLU nets dead at an input, 1 - (1 - 1/4)^10",
        (1 - 0.75**10, RECALLED, lambda: 1 - 0.75**10, "0.0065", STATISTICS),
        ("17_reproductions", classic.c26_dead, True),
    ),
    row(
        ("C29", "chollet2015", "VarianceScaling"),
        "A normal cut at two stds has std 0.8796",
        (
            0.87962566103423978,
            READ,
            lambda: math.sqrt(derived.uncorrected_cut()),
            "0.24%",
            STATISTICS,
        ),
        ("09_keras_settings", classic.c29_cut, True),
    ),
]

GAINS = [
    row(
        ("C19", "klambauer2017", "eq. 6"),
        "SELU: an error of the variance shrinks to 0.783 of it in a layer",
        (0.782648, READ, lambda: theory.q_slope("selu", 1.0, 1.0), "3%", LOOKED),
        ("16_myths", classic.c19_contracts, True),
    ),
    row(
        ("C19b", "klambauer2017", "section 2"),
        "SELU: from mean 0.3 and variance 2 the variance comes to 1 (50 layers)",
        (1.0, READ, lambda: 1.0, "12%", LOOKED),
        ("07_choosing", classic.c19b_variance, False),
    ),
    row(
        ("C35", "klambauer2017", "abstract"),
        "SELU: exploding gradients are impossible (gradient² a layer)",
        (1.0, READ, lambda: derived.chi_at_rest("selu", 1.0), "1.3%", STATISTICS),
        ("16_myths", classic.c35_selu, False),
    ),
    row(
        ("C35p", "paszke2019", "calculate_gain"),
        "SELU with gain 3/4: a more stable gradient (gradient² a layer)",
        (1.0, READ, lambda: derived.chi_at_rest("selu", 0.75), "1.3%", STATISTICS),
        ("07_choosing", classic.c35_pytorch, False),
    ),
    row(
        ("C30", "brock2021", "code: gamma of SELU"),
        "1 over the std of SELU is 1.0008515120",
        (1.000851512, READ, lambda: theory.gain("selu"), "0.01%", SOURCE),
        ("16_myths", classic.c30_selu, True),
    ),
    row(
        ("C34", "hendrycks2016", "as it is used"),
        "He's rule serves GELU, too (second moment left of 1, thirty layers)",
        (1.0, HEARD, lambda: derived.left_of_one("gelu"), "x10", LOOKED),
        ("07_choosing", classic.c34_gelu, False),
    ),
    row(
        ("C34s", "elfwing2018", "as it is used"),
        "He's rule serves SiLU, too (second moment left of 1, thirty layers)",
        (1.0, HEARD, lambda: derived.left_of_one("silu"), "x10", LOOKED),
        ("07_choosing", classic.c34_silu, False),
    ),
    row(
        ("N08", "so2021", "squared ReLU"),
        "Squared ReLU has no stable size: q goes through a layer as its second power",
        (None, SECOND, lambda: theory.q_slope(derived.square, 1.0, math.sqrt(2 / 3)), "2%", BEFORE),
        ("13_transformers", classic.n08_square, False),
    ),
    row(
        ("C27", "mishkin2016", "algorithm 1"),
        "LSUV brings the variance to 1 in a few rounds, 10 at most (rounds, without a bias)",
        (None, RECALLED, lambda: 1.0, "0.5", SOURCE),
        ("17_reproductions", modern.c27_rounds, False),
    ),
    row(
        ("C23", "sitzmann2020", "section 3.2"),
        "SIREN: pre-activations have std 1 in every hidden layer (layer 2)",
        (1.0, RECALLED, lambda: 1.0, "3%", LOOKED),
        ("16_myths", modern.c23_second, False),
    ),
    row(
        ("C23e", "sitzmann2020", "section 3.2"),
        "SIREN: pre-activations have std 1 in every hidden layer (layer 8)",
        (
            1.0,
            RECALLED,
            lambda: math.sqrt(theory.fixed_point("sin", math.sqrt(2)).q_star),
            "5%",
            LOOKED,
        ),
        ("16_myths", modern.c23_eighth, False),
    ),
]

DEPTH = [
    row(
        ("C16", "poole2016", "figure 1"),
        "tanh, σ_w 2.5, σ_b 0.3: q settles within a few layers",
        (None, RECALLED, lambda: theory.fixed_point("tanh", 2.5, 0.3).q_star, "5%", LOOKED),
        ("14_edge_of_chaos", classic.c16_settles, False),
    ),
    row(
        ("C16c", "poole2016", "figure 2"),
        "tanh, σ_w 2.5, σ_b 0.3: the correlation of two inputs settles near 0",
        (None, RECALLED, lambda: theory.c_star("tanh", 2.5, 0.3), "0.07", LOOKED),
        ("14_edge_of_chaos", classic.c16_parts, False),
    ),
    row(
        ("C17", "schoenholz2017", "figure 2"),
        "tanh is critical at σ_w² 1.76, σ_b² 0.05 (gradient² a layer)",
        (
            1.0,
            RECALLED,
            lambda: derived.chi_at_rest("tanh", 1.76**0.5, 0.05**0.5),
            "5%",
            STATISTICS,
        ),
        ("14_edge_of_chaos", classic.c17_critical, False),
    ),
    row(
        ("C17p", "pennington2017", "experiments"),
        "tanh is critical at (1.05, 2.01e-5) (σ_w² at that σ_b²)",
        (
            1.05,
            RECALLED,
            lambda: theory.critical_line("tanh", math.sqrt(2.01e-5)) ** 2,
            "0.005",
            SOURCE,
        ),
        ("14_edge_of_chaos", classic.c17_line, True),
    ),
    row(
        ("C17x", "schoenholz2017", "eq. 9"),
        "Inputs approach each other e-fold in ξ layers (σ_w² 1.3, σ_b² 0.05)",
        (None, RECALLED, lambda: theory.xi_c("tanh", 1.3**0.5, 0.05**0.5), "25%", LOOKED),
        ("14_edge_of_chaos", classic.c17_scale, False),
    ),
    row(
        ("C38", "schoenholz2017", "figure 5"),
        "Nothing is learned deeper than 6 ξ (40 layers, 6 ξ = 22: share right in 116 steps)",
        (0.1, RECALLED, None, "0.2", LOOKED),
        ("14_edge_of_chaos", classic.c38_deep, False),
    ),
    row(
        ("C18", "pennington2017", "theorem"),
        "Orthogonal tanh layers near 0 are isometric (relative variance of s², 16 layers)",
        (None, RECALLED, lambda: derived.isometry(1 / 64, 16), "40%", LOOKED),
        ("17_reproductions", classic.c18_tanh, False),
    ),
    row(
        ("C18r", "pennington2017", "theorem"),
        "Orthogonal ReLU layers are not: it is the number of layers (4 layers)",
        (4.0, RECALLED, lambda: 4.0, "10%", LOOKED),
        ("17_reproductions", classic.c18_relu, False),
    ),
    row(
        ("C12", "saxe2014", "figure"),
        "A product of four Gaussian matrices: s² has variance 4",
        (None, RECALLED, lambda: 4.0, "15%", LOOKED),
        ("17_reproductions", classic.c12_spread, True),
    ),
    row(
        ("C10", "saxe2014", "eq. for u(t)"),
        "A mode of strength 3 is half learned at ln(3/u₀ - 1)/6",
        (None, RECALLED, lambda: math.log(3 / 0.001 - 1) / 6, "0.2%", LOOKED),
        ("17_reproductions", classic.c10_half_time, True),
    ),
    row(
        ("C11", "hu2020", "theorem"),
        "Orthogonal linear nets learn as fast at any depth (steps at 64 layers over 4)",
        (1.0, RECALLED, lambda: 1.0, "30%", LOOKED),
        ("17_reproductions", classic.c11_orthogonal, False),
    ),
]

NOISE = [
    row(
        ("C20", "balduzzi2017", "theorem 1"),
        "Gradients at two inputs correlate as 1 over 2 to the depth (8 ReLU layers)",
        (2**-8, RECALLED, lambda: derived.agreement(8), "0.02", LOOKED),
        ("16_myths", modern.c20_halves, True),
    ),
    row(
        ("C20m", "balduzzi2017", "theorem 1"),
        "The same if each unit's mean over the batch is taken away (4 ReLU layers)",
        (2**-4, RECALLED, lambda: 2**-4, "0.025", LOOKED),
        ("17_reproductions", modern.c20_centered, True),
    ),
    row(
        ("U1", "balduzzi2017", "figure 1"),
        "At 24 layers neighboring slopes are white noise (correlation, as UDL's notebook has it)",
        (0.0, SECOND, None, "0.25", STATISTICS),
        ("17_reproductions", modern.udl_noise, True),
    ),
    row(
        ("U2", "balduzzi2017", "figure 1"),
        "At 24 layers neighboring slopes are white noise (with He's 2, which it leaves out)",
        (0.0, SECOND, None, "0.25", STATISTICS),
        ("17_reproductions", modern.udl_he, True),
    ),
    row(
        ("U3", "balduzzi2017", "figure 1"),
        "At 24 layers neighboring slopes are white noise (each unit's mean taken away)",
        (0.0, RECALLED, lambda: 0.0, "0.25", STATISTICS),
        ("17_reproductions", modern.udl_centered, True),
    ),
    row(
        ("B1", "yang2019", "ReLU"),
        "Batch normalization without skips multiplies gradient² by π/(π - 1) a layer",
        (math.pi / (math.pi - 1), RECALLED, lambda: math.pi / (math.pi - 1), "5%", LOOKED),
        ("12_residual", modern.bn_explodes, False),
    ),
    row(
        ("C21", "zhang2019", "section 2"),
        "A residual block without normalization doubles the second moment",
        (2.0, RECALLED, lambda: 2.0, "5%", LOOKED),
        ("12_residual", modern.c21_doubles, False),
    ),
    row(
        ("C21n", "de2020", "section 3"),
        "With normalized branches the second moment grows by 1 a block (after 32 blocks)",
        (33.0, RECALLED, lambda: 33.0, "5%", LOOKED),
        ("12_residual", modern.c21_linear, False),
    ),
    row(
        ("C22", "bachlechner2021", "main point"),
        "Branches times zero: 100 blocks are the identity (smallest singular value)",
        (1.0, RECALLED, lambda: 1.0, "0.01%", SOURCE),
        ("12_residual", modern.c22_identity, True),
    ),
    row(
        ("C21g", "radford2019", "section 2.3"),
        "1/√N keeps the stream at 1; N counts two residual layers a block",
        (1.0, RECALLED, lambda: 1.0, "4%", STATISTICS),
        ("13_transformers", modern.c21_which_n, True),
    ),
]

MODERN = [
    row(
        ("N01", "radford2019", "section 2.3, and code"),
        "GPT-2's start: the share of the embedding in the stream after block 1",
        (None, READ, derived.first_block, "10%", BEFORE),
        ("13_transformers", modern.n01_first_block, False),
    ),
    row(
        ("N01b", "radford2019", "as it is derived"),
        "Branches add up as if independent: the stream grows so many times in 12 blocks",
        (None, HEARD, derived.branches_grow, "10%", BEFORE),
        ("13_transformers", modern.n01_growth, False),
    ),
    row(
        ("N02", "radford2019", "logits at the start"),
        "The first loss is ln V + v/2 (V = 5000, v = 0.307)",
        (None, HEARD, lambda: math.log(5000) + 768 * 0.02**2 / 2, "0.12", LOOKED),
        ("13_transformers", modern.n02_language, True),
    ),
    row(
        ("N02b", "paszke2019", "nn.Embedding"),
        "A language model starts at ln V, also with a head tied to embeddings of std 1 (V = 100)",
        (math.log(100), HEARD, lambda: derived.mean_loss(100, 64), "2", BEFORE),
        ("13_transformers", modern.n02_tied, True),
    ),
    row(
        ("C33", "cs231n2016", "as it is retold"),
        "A ten-way classifier starts at ln 10 (our condition: last layer of variance 1/n)",
        (math.log(10), HEARD, lambda: derived.mean_loss(10, 1.0), "0.15", LOOKED),
        ("08_training", modern.c33_ten, False),
    ),
    row(
        ("N04", "lin2017", "section 4.1"),
        "A class of 1%: with the prior's bias the loss starts low",
        (None, RECALLED, lambda: -0.01 * math.log(0.01) - 0.99 * math.log(0.99), "10%", BEFORE),
        ("08_training", modern.n04_rare, True),
    ),
    row(
        ("N12", "vaswani2017", "section 3.2"),
        "Attention starts near uniform: entropy below ln 256 (GPT-2's std)",
        (None, HEARD, lambda: (768 * 0.02**2) ** 2 / 2, "10%", BEFORE),
        ("13_transformers", modern.n12_uniform, True),
    ),
    row(
        ("N07", "kalajdzievski2023", "rank stabilization"),
        "LoRA divided by √r: the first step's size does not depend on the rank (SGD; exponent)",
        (0.0, RECALLED, lambda: 0.0, "0.2", LOOKED),
        ("13_transformers", modern.n07_sgd, True),
    ),
    row(
        ("N07a", "kalajdzievski2023", "rank stabilization"),
        "LoRA divided by √r: the first step's size does not depend on the rank (Adam; exponent)",
        (0.0, RECALLED, lambda: 0.5, "0.2", LOOKED),
        ("13_transformers", modern.n07_adam, True),
    ),
    row(
        ("C24", "yanghu2021", "section 5"),
        "Standard start, Adam: a hidden layer's change grows with the width (exponent)",
        (1.0, RECALLED, lambda: 1.0, "0.2", LOOKED),
        ("15_width", modern.c24_standard, False),
    ),
    row(
        ("C24m", "yang2022", "table 3"),
        "μP, Adam: it does not depend on the width (exponent)",
        (0.0, RECALLED, lambda: 0.0, "0.1", LOOKED),
        ("15_width", modern.c24_mup, False),
    ),
    row(
        ("N09", "kalamkar2019", "bfloat16"),
        "An Adam step of 1e-4 leaves part of bfloat16 weights of std 0.02 unmoved",
        (None, HEARD, derived.unmoved, "0.01", BEFORE),
        ("15_width", modern.n09_bfloat16, True),
    ),
    row(
        ("C37c", "tallec2018", "chrono start"),
        "A bias of ln(T - 1) remembers for T steps (T = 100)",
        (100.0, RECALLED, lambda: -1 / math.log(0.99), "2%", LOOKED),
        ("16_myths", modern.c37_chrono, True),
    ),
]

SYMMETRY = [
    row(
        ("C31", "goodfellow2016", "section 8.4"),
        "Units that start equal stay equal (different units of 32, trained)",
        (1.0, RECALLED, lambda: 1.0, "0.5", SOURCE),
        ("02_symmetry", modern.c31_constant, False),
    ),
    row(
        ("N14", "zhang2023", "section 5.4"),
        "Dropout breaks the symmetry of units that start equal (different units of 32)",
        (32.0, READ, lambda: 32.0, "0.5", SOURCE),
        ("16_myths", modern.n14_dropout, False),
    ),
    row(
        ("C25", "zhao2022", "theorem 2"),
        "Widened by a Hadamard matrix, the 64 units of a layer become different (8 inputs)",
        (64.0, RECALLED, lambda: 16.0, "0.5", SOURCE),
        ("16_myths", modern.c25_zero, True),
    ),
]

GROUPS = {
    "Xavier's paper": XAVIER,
    "Tanh and sigmoid": TANH,
    "ReLU and He's rule": HE,
    "Other functions": GAINS,
    "Deep and wide": DEPTH,
    "Noise, normalization and skips": NOISE,
    "Transformers, and what else is new": MODERN,
    "Symmetry": SYMMETRY,
}
ROWS = [row for group in GROUPS.values() for row in group]
