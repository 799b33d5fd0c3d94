from .backbones import check_backbone as check_backbone
from .components import check_component as check_component
from .components import check_switch_prior as check_switch_prior
from .contract import verified_rows as verified_rows
from .kinds import check_kind as check_kind
from .steps import check_step as check_step
from .stories import check_story as check_story
