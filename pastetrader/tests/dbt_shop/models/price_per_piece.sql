select id, value / quantity as price
from {{ ref("valued_orders") }}
