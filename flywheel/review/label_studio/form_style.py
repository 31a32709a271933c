"""How the annotator's form looks: everything on one screen, no scrolling for 30 labels."""

__all__ = ["FORM_STYLE"]

FORM_STYLE = """
.flywheel { display: flex; gap: 24px; align-items: flex-start; }
.flywheel-question { flex: 2 1 0; min-width: 260px; }
.flywheel-answer { flex: 3 1 0; min-width: 360px; }
"""
