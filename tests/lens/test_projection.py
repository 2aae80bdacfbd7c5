"""Projections, and the two numbers that say how far to trust them."""

import numpy as np
import pytest

from core.errors import InputInvalid
from core.lens.projection import nearest, neighbours_kept, project


def plane() -> np.ndarray:
    """Twelve points of a plane inside ten dimensions."""
    rng = np.random.default_rng(4)
    flat = rng.normal(size=(12, 2)) * [3, 1]
    turn, _r = np.linalg.qr(rng.normal(size=(10, 10)))
    return (flat @ turn[:2] + 5).astype(np.float32)


def test_pca_of_a_plane_loses_nothing() -> None:
    vectors = plane()
    found = project(vectors, 2)
    assert sum(found.explained) == pytest.approx(1, abs=1e-5) and found.explained[0] > found.explained[1]
    assert found.kept == 1 and found.k == 5
    before = np.linalg.norm(vectors[0] - vectors[1])
    assert np.linalg.norm(found.points[0] - found.points[1]) == pytest.approx(before, rel=1e-4)


def test_a_third_dimension_that_is_not_there_is_zero() -> None:
    found = project(np.array([[1, 0], [2, 0], [4, 0], [7, 0]], dtype=np.float32), 3)
    assert found.points.shape == (4, 3) and not found.points[:, 1:].any()
    assert found.explained[0] == pytest.approx(1)
    same = project(np.ones((4, 6), dtype=np.float32), 2)
    assert np.isfinite(same.points).all() and same.explained == (0, 0)


def test_neighbours_kept_by_hand() -> None:
    line = np.array([[0.0], [1.0], [3.0], [6.0]])
    assert nearest(line, 1) == [{1}, {0}, {1}, {2}]
    swapped = np.array([[0.0], [6.0], [3.0], [1.0]])
    # Only the third keeps its nearest … in the new order none does but where the sets meet.
    expected = np.mean([len(a & b) for a, b in zip(nearest(line, 1), nearest(swapped, 1), strict=True)])
    assert neighbours_kept(line.astype(np.float32), swapped, 1) == expected == 0.0
    assert neighbours_kept(line.astype(np.float32), 2 * line, 2) == 1.0


def test_tsne_repeats_with_its_seed_and_changes_with_another() -> None:
    vectors = plane()
    one, again, other = (project(vectors, 2, "tsne", seed) for seed in (1, 1, 2))
    assert np.array_equal(one.points, again.points) and not np.allclose(one.points, other.points)
    assert one.explained == () and one.perplexity == pytest.approx(11 / 3)
    assert 0 < one.kept <= 1
    assert project(vectors, 3, "tsne").points.shape == (12, 3)


@pytest.mark.parametrize(("n", "method"), [(2, "pca"), (0, "pca"), (4, "tsne")])
def test_too_few_points(n: int, method: str) -> None:
    with pytest.raises(InputInvalid):
        project(np.eye(n, 5, dtype=np.float32), 2, method)  # type: ignore[arg-type]
