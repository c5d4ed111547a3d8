from .channel_admin import ChannelAdmin
from .delivery_admin import DeliveryAdmin
from .expectation_admin import ExpectationAdmin
from .rule_admin import RuleAdmin

__all__ = ["ChannelAdmin", "DeliveryAdmin", "ExpectationAdmin", "RuleAdmin"]
