"""What an audit measures: cells of protector and attack, their quality and cost."""
