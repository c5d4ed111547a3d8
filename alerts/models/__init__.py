from .alert import Alert, AlertState, Delivery, DeliveryState, Outcome
from .channel import Channel, ChannelKind
from .expectation import Expectation, ExpectationKind, Miss
from .rule import AlertKind, Rule, RuleChannel
from .scan import Scan

__all__ = [
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
