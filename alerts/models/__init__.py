from .alert import Alert, AlertState, Delivery, DeliveryState, Outcome
from .channel import Channel, ChannelKind
from .expectation import CALENDAR_ENDED, Expectation, ExpectationKind, Miss
from .rule import AlertKind, Rule, RuleChannel
from .scan import Scan

__all__ = [
    "CALENDAR_ENDED",
    "Alert",
    "AlertKind",
    "AlertState",
    "Channel",
    "ChannelKind",
    "Delivery",
    "DeliveryState",
    "Expectation",
    "ExpectationKind",
    "Miss",
    "Outcome",
    "Rule",
    "RuleChannel",
    "Scan",
]
