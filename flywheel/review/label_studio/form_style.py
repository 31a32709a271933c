"""How the annotator's form looks: everything on one screen, no scrolling for 70 labels."""

__all__ = ["FORM_STYLE"]

# The input is what is read, so it is the largest; the labels stand in columns, where the eye finds
# them again. The side panels are for regions, of which there are none here. The class names are
# Label Studio's: where it renames an element, that one looks as it does without us.
# A draft's pencil is shown without the mouse, and its area is as large as a reply.
# No `>` between names: it would arrive escaped.
FORM_STYLE = """
.flywheel { display: flex; gap: 28px; align-items: flex-start; }
.flywheel-question { flex: 2 1 0; min-width: 280px; order: -1; }
.flywheel-input, .flywheel-input * { font-size: 20px; line-height: 1.45; }
.flywheel-answer { flex: 3 1 0; min-width: 380px; display: flex; flex-direction: column; }
.flywheel-filter { order: -1; margin-bottom: 6px; }
.flywheel-aside { margin-top: 18px; }
.flywheel-aside, .flywheel-aside * { font-size: 13px; line-height: 1.4; }
.flywheel-field { margin-bottom: 6px; }
.flywheel-field h4 { font-size: 15px; }
.flywheel-field .lsf-choices { display: grid; margin: 0;
  grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); gap: 0 8px; }
.flywheel-field .lsf-choice { margin: 0; }
.flywheel-field .lsf-choice__item { padding: 0; }
.flywheel-field .lsf-choice__checkbox { height: 24px; min-height: 0; padding: 0; }
.flywheel-prose .lsf-textarea__actions { opacity: 1; }
.flywheel-prose textarea { min-height: 260px; }
.lsf-sidepanels__wrapper { display: none; }
.lsf-sidepanels { padding-right: 0 !important; }
"""
