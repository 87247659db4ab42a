"""int8x.keras.distill: the loss is the equation's, only the student learns, and it helps."""

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
from int8x.keras import QATCallback, distill
from keras import layers as L

X, Y, X_TEST, _ = nets.digits(128, 48)
CLOSE = 1e-5  # relative: float32 sums of ten classes and 32 samples


@pytest.fixture(autouse=True)
def _seeded():
    nets.seed()


def net(probabilities=False, classes=10):
    activation = "softmax" if probabilities else None
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.Flatten(),
            L.Dense(classes, activation=activation),
        ]
    )


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def divergence(teacher, student, temperature):
    """temperature^2 * KL in float64, mean over samples."""
    p = softmax(np.float64(teacher) / temperature)
    q = softmax(np.float64(student) / temperature)
    return temperature**2 * np.mean(np.sum(p * np.log(p / q), axis=-1))


def loss_of_one_step(student, rate=0.0, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=nets_logits(student))
    student.compile(keras.optimizers.SGD(rate), loss)
    history = student.fit(X[:32], Y[:32], batch_size=32, verbose=0, **options).history
    return history["loss"][0]


def nets_logits(student):
    return student.layers[-1].activation.__name__ != "softmax"


def in_training(model, x):
    return model(x, training=True).numpy()


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_loss_is_the_hard_loss_and_the_divergence_from_the_teacher(weight, temperature):
    teacher, student = net(), net()
    hard = loss_of_one_step(student)
    soft = divergence(teacher(X[:32]).numpy(), in_training(student, X[:32]), temperature)
    with distill(teacher, student, temperature, weight):
        came = loss_of_one_step(student)
    assert came == pytest.approx((1 - weight) * hard + weight * soft, rel=1e-4)
    assert loss_of_one_step(student) == pytest.approx(hard, rel=1e-4)  # afterwards its own again


def test_probabilities_stand_for_their_logarithms():
    teacher, student = net(probabilities=True), net(probabilities=True)
    x = X[:32] / 64  # no probability under the least
    logits = [
        np.log(in_training(m, x) if m is student else m(x).numpy()) for m in (teacher, student)
    ]
    with distill(teacher, student, 2.0, 1.0):
        student.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
        came = student.fit(x, Y[:32], batch_size=32, verbose=0).history["loss"][0]
    assert came == pytest.approx(divergence(*logits, 2.0), rel=1e-4)


def test_only_the_student_learns_and_evaluation_has_its_own_loss():
    teacher, student = net(), net()
    before = [w.numpy() for w in teacher.weights]
    student_before = [w.numpy() for w in student.trainable_weights]
    with distill(teacher, student, weight=1.0):
        loss_of_one_step(student, rate=0.01)
        known = {v.path for v in student.optimizer.variables}
        own = student.evaluate(X_TEST, np.zeros(48), verbose=0)
    assert all(np.array_equal(a, w.numpy()) for a, w in zip(before, teacher.weights, strict=True))
    for a, w in zip(student_before, student.trainable_weights, strict=True):
        assert not np.array_equal(a, w.numpy())
    assert len(known) == 2  # SGD's counter and learning rate: no state for any teacher
    assert own == pytest.approx(student.evaluate(X_TEST, np.zeros(48), verbose=0), rel=CLOSE)


def test_a_student_without_labels_worth_learning_learns_from_its_teacher():
    teacher, student = net(), net()
    teacher.compile(keras.optimizers.Adam(1e-2), "mse")
    nets.compiled(teacher, learning_rate=1e-2).fit(X, Y, epochs=15, verbose=0)
    labels = np.zeros_like(Y)
    with distill(teacher, student, temperature=2.0, weight=1.0):
        nets.compiled(student, learning_rate=1e-2).fit(X, labels, epochs=15, verbose=0)
    agreement = np.mean(student(X).numpy().argmax(1) == teacher(X).numpy().argmax(1))
    assert agreement > 0.8


@pytest.mark.parametrize("jit", [False, True])
def test_a_quantized_student_learns_from_its_float_self(jit, tmp_path):
    student = net()
    nets.compiled(student).fit(X, Y, epochs=2, verbose=0)
    teacher = keras.models.clone_model(student)
    teacher.set_weights(student.get_weights())
    nets.compiled(student, jit=jit)
    with distill(teacher, student):
        student.fit(X, Y, epochs=2, verbose=0, callbacks=[QATCallback()])
    graph = int8x.export(student, tmp_path / "model.tflite")
    assert graph.main.operators[-1].kind == "FULLY_CONNECTED"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: distill("teacher", m), "teacher: a built Keras model was wanted, got 'teacher'"),
        (lambda m: distill(m, m), "must share no layer"),
        (
            lambda m: distill(keras.Sequential([keras.Input((8, 8, 1)), m.layers[0]]), m),
            "share no layer, both have conv2d",
        ),
        (lambda m: distill(net(classes=9), m), r"equal outputs were wanted, got \(None, 9\)"),
        (lambda m: distill(net(classes=1), m), "of two classes or more was wanted"),
        (lambda m: distill(net(), m, temperature=0), "temperature must be a number over 0, got 0"),
        (lambda m: distill(net(), m, weight=1.5), r"weight must be a number in \[0, 1\], got 1.5"),
        (lambda m: distill(net(), m) and distill(net(), m), "has a teacher already"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(net())


def test_a_subclassed_model_must_say_what_it_gives():
    student = nets.Subclassed()
    student(X[:1])
    with pytest.raises(ValueError, match=r"student: .* does not tell what its output is"):
        distill(net(), student)
    with distill(net(), student, from_logits=True):
        history = nets.compiled(student).fit(X, Y, verbose=0).history
    assert np.isfinite(history["loss"][0])
