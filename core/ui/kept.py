"""What a model computed is kept by: the same on every page, so that none shows what other weights have said."""

from core.i18n import get_language
from core.ui.resources import model_pool


def kept_by(model: str) -> tuple[str, str, str]:
    """The part of a key that stands for who answers and how.

    Args:
        model: catalogue key.

    Returns:
        The key; which weights it names now, which another download or another commit changes; and the language, in
        whose words results carry their notes and names.
    """
    return model, model_pool().revision(model), get_language()
