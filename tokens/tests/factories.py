import factory
from factory.django import DjangoModelFactory

from tokens.models import Scope, Token
from workflows.tests.factories import UserFactory


class TokenFactory(DjangoModelFactory):
    """A row whose secret nobody knows; `Token.objects.issue()` makes one that can be used."""

    class Meta:
        model = Token

    user = factory.SubFactory(UserFactory)
    name = factory.Sequence("token {}".format)
    digest = factory.Sequence("{:064x}".format)
    scopes = [Scope.EXECUTIONS_READ]
